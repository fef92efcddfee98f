"""SQL that is written down: names in quotes, and text that holds no parameters."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect

#: PostgreSQL without a connection. With the parameters of its usual drivers, percent signs would be doubled.
POSTGRESQL: Dialect = postgresql.dialect(paramstyle='named')  # type: ignore[no-untyped-call]  # SQLAlchemy
#: Quotes names for PostgreSQL and for SQLite.
QUOTE = POSTGRESQL.identifier_preparer


def literal(sql: str) -> sa.TextClause:
    """Make a statement of SQL in which a colon is a colon, and begins no parameter.

    >>> literal('SELECT 1::bigint').compile().string
    'SELECT 1::bigint'
    """
    return sa.text(sql.replace(':', '\\:'))
