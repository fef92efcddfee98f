"""Connect to a database that can hold the tables."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable
from types import TracebackType
from typing import Self

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, NoSuchTableError

from ..errors import NotUsable
from ..settings.credentials import masked
from .columns import missing_columns
from .faults import refusing
from .session import settle
from .values import plain

_SCHEMAS = sa.text('SELECT relnamespace::regnamespace::text FROM pg_class WHERE relname = :name ORDER BY 1')
_DIALECTS = ('postgresql', 'sqlite')


def engine(url: str) -> sa.Engine:
    """Make an engine for a database that can hold the tables.

    :param url: the database's URL, as SQLAlchemy or as Celery's ``result_backend`` spells it.
    :returns: the engine; it has not connected yet.
    :raises NotUsable: where it is not the URL of a PostgreSQL or SQLite database, or its driver is not installed.

    >>> engine('db+sqlite:///tasks.db')
    Engine(sqlite:///tasks.db)
    """
    try:
        parsed = sa.make_url(url.removeprefix('db+').removeprefix('database+'))
        dialect = parsed.get_dialect()
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise NotUsable(f'{masked(url)!r} is not the URL of a database') from None
    if dialect.name not in _DIALECTS:
        raise NotUsable(f'{masked(url)!r} is not the URL of a PostgreSQL or SQLite database')
    if parsed.drivername == 'postgresql':
        parsed = parsed.set(drivername='postgresql+psycopg2')
    try:
        made = sa.create_engine(parsed, poolclass=sa.NullPool, json_serializer=json.JSONEncoder(default=plain).encode)
    except ModuleNotFoundError as error:
        raise NotUsable(
            f'{masked(url)!r} needs {error.name}, which is not installed: install it, or leave it out of the URL'
        ) from None
    settle(made)
    return made


def prepare_to_read(connection: sa.Connection) -> None:
    """Let PostgreSQL give times in UTC and prefer indexes in this session, and not compile queries.

    :param connection: a connection to the database; another database than PostgreSQL is left alone.
    """
    if connection.dialect.name == 'postgresql':
        # In another time zone, the last times of the last year would be in a year that Python does not know.
        connection.execute(sa.text("SET TIME ZONE 'UTC'"))
        # By default, PostgreSQL expects a disk that turns. There, a page in the middle costs as much as four in a row.
        connection.execute(sa.text('SET random_page_cost = 1.1'))
        # PostgreSQL would take longer to compile most of our queries than to run them.
        connection.execute(sa.text('SET jit = off'))


class Connected(ABC):
    """A connection to a database that can hold the tables, as a context manager.

    :param url: the database's URL, as `engine` takes it.
    :raises NotUsable: where the URL is not that of such a database, or that database refuses the connection for good,
        or a table, a view or a column is missing there.
    :raises sqlalchemy.exc.DBAPIError: where the database cannot be reached.
    """

    #: The command that makes the tables.
    _maker = 'celery toolbox tables'

    def __init__(self, url: str) -> None:
        self._engine = engine(url)

    @property
    def where(self) -> str:
        """The host and the name of the database."""
        url = self._engine.url
        return '/'.join(part for part in (url.host, url.database) if part)

    def __enter__(self) -> Self:
        self._connect()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.close()
        self._engine.dispose()

    def _connect(self) -> None:
        with refusing(' the connection'):
            self._connection = self._engine.connect()
        try:
            with refusing():
                self._prepare()
        except BaseException:
            self._connection.close()
            raise

    @abstractmethod
    def _prepare(self) -> None:
        """Make the connection ready for use."""

    def _require(self, kind: str, names: Iterable[str]) -> None:
        for name in names:
            try:
                missing = missing_columns(self._connection, name)
            except NoSuchTableError:
                raise NotUsable(f'The database has no {kind} {name!r}{self._found_elsewhere(name)}') from None
            if missing:
                raise NotUsable(
                    f'An older version made the {kind} {name!r}, without {", ".join(missing)}: run '
                    f'`{self._maker}` first'
                )

    def _found_elsewhere(self, name: str) -> str:
        is_postgresql = self._engine.dialect.name == 'postgresql'
        if is_postgresql and (schemas := self._connection.scalars(_SCHEMAS, {'name': name}).all()):
            return (
                f' on the search_path of the role. The schema {", ".join(schemas)} has it: ALTER ROLE ... SET '
                'search_path = ...'
            )
        return f': run `{self._maker}` first'
