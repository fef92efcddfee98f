"""Values that a database can store."""

from typing import Any


def storable(text: str) -> str:
    r"""Replace the characters that no database accepts.

    >>> storable('a\0b')
    'a\ufffdb'
    """
    return text.encode('utf-8', 'replace').decode().replace('\0', '\ufffd')


def plain(value: Any) -> Any:
    """Write values of AMQP that JSON has no type for: the ``default`` function for `json.dumps`.

    >>> plain(b'bytes'), plain(1j)
    ('bytes', '1j')
    """
    if isinstance(value, bytes):
        return value.decode('utf-8', 'backslashreplace')
    return value.isoformat() if hasattr(value, 'isoformat') else str(value)
