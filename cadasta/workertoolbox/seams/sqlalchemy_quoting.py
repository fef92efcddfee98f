"""SQLAlchemy: how PostgreSQL writes names."""

from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import IdentifierPreparer

#: PostgreSQL without a connection. With the parameters of its usual drivers, percent signs would be doubled. It stands
#: for the constructor of the dialect: the public way to a dialect, a URL, leads to that of a driver.
POSTGRESQL: Dialect = postgresql.dialect(paramstyle='named')  # type: ignore[no-untyped-call]  # SQLAlchemy

#: Quotes names for PostgreSQL and for SQLite. It stands for an attribute that SQLAlchemy documents among its internals:
#: statements such as ``GRANT`` have to be written as text, and text has no public way to quote a name.
QUOTE: IdentifierPreparer = POSTGRESQL.identifier_preparer
