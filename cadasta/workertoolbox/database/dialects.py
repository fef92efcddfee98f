"""The parts of SQL that differ between PostgreSQL and SQLite."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

#: The present time. It is that of the database, because the clocks of two machines differ.
NOW: dict[str, sa.ColumnElement[Any]] = {
    'postgresql': sa.func.now(),
    # SQLite counts milliseconds, and SQLAlchemy reads microseconds.
    'sqlite': sa.func.strftime('%Y-%m-%d %H:%M:%f000', 'now'),
}
#: The INSERT with the clause ON CONFLICT.
INSERTS: dict[str, Callable[[sa.Table], Any]] = {'postgresql': postgresql.insert, 'sqlite': sqlite.insert}
