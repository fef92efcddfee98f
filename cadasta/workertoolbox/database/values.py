"""Values that a database can store."""

from typing import Any


def storable(text: str) -> str:
    r"""Replace the characters that no database takes.

    >>> storable('a\0b')
    'a\ufffdb'
    """
    return text.encode('utf-8', 'replace').decode().replace('\0', '\ufffd')


def plain(value: Any) -> Any:
    """Say in JSON what AMQP can say and JSON cannot: the ``default`` function for `json.dumps`.

    >>> plain(b'bytes'), plain(1j)
    ('bytes', '1j')
    """
    if isinstance(value, bytes):
        return value.decode('utf-8', 'backslashreplace')
    return value.isoformat() if hasattr(value, 'isoformat') else str(value)
