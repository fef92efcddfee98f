"""Values that a database can store."""

from datetime import UTC, datetime
from typing import Any, TypeGuard

from ..architecture import ID_LENGTH


def storable(text: str) -> str:
    r"""Replace the characters that no database accepts.

    >>> storable('a\0b')
    'a\ufffdb'
    """
    return text.encode('utf-8', 'replace').decode().replace('\0', '\ufffd')


def is_task_id(value: Any) -> TypeGuard[str]:
    """Tell whether the tables can hold a value as the id of a task.

    >>> is_task_id('1'), is_task_id(1), is_task_id(156 * '1')
    (True, False, False)
    """
    return isinstance(value, str) and 0 < len(value) <= ID_LENGTH and storable(value) == value


def aware(time: datetime) -> datetime:
    """Give a time of a row in UTC. SQLite has no time zones, and all tables have UTC there.

    >>> aware(datetime(2030, 1, 1)).isoformat()
    '2030-01-01T00:00:00+00:00'
    """
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def zoned(value: Any) -> Any:
    """Give a time of a row its time zone, if it has none. It is UTC: in SQLite, and in Celery's tables.

    >>> zoned(datetime(2030, 1, 1)).isoformat(), zoned(7)
    ('2030-01-01T00:00:00+00:00', 7)
    """
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value


def plain(value: Any) -> Any:
    """Write values of AMQP that JSON has no type for: the ``default`` function for `json.dumps`.

    >>> plain(b'bytes'), plain(1j)
    ('bytes', '1j')
    """
    if isinstance(value, bytes):
        return value.decode('utf-8', 'backslashreplace')
    return value.isoformat() if hasattr(value, 'isoformat') else str(value)
