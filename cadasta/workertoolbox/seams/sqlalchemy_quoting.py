"""SQLAlchemy: quoting names for PostgreSQL."""

from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import IdentifierPreparer

#: The dialect of PostgreSQL, without a connection. Its parameters are named, because SQLAlchemy doubles percent signs
#: for those of the usual drivers. It uses the constructor of the dialect: the public way takes a URL and returns the
#: dialect of a driver.
POSTGRESQL: Dialect = postgresql.dialect(paramstyle='named')  # type: ignore[no-untyped-call]  # SQLAlchemy

#: Quotes names for PostgreSQL and for SQLite. It uses an attribute that SQLAlchemy documents among its internals:
#: it has no constructs for statements such as ``GRANT``, and no public way to quote a name in a text.
QUOTE: IdentifierPreparer = POSTGRESQL.identifier_preparer
