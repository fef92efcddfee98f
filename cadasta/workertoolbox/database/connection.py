"""Which databases can hold the tables, and how to connect to them."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable
from types import TracebackType
from typing import Self

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from ..errors import NotUsable
from ..settings.credentials import masked
from .values import plain

_DIALECTS = ('postgresql', 'sqlite')
#: A database that is gone is noticed within a minute, also when it owes an answer; libpq would wait for hours.
NETWORK_TIMEOUTS = {
    'connect_timeout': 10,
    'keepalives_idle': 30,
    'keepalives_interval': 10,
    'keepalives_count': 3,
    'tcp_user_timeout': 60_000,
}


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
    defaults = NETWORK_TIMEOUTS if dialect.name == 'postgresql' else {}
    missing = {name: value for name, value in defaults.items() if name not in parsed.query}
    try:
        return sa.create_engine(
            parsed, connect_args=missing, poolclass=sa.NullPool, json_serializer=json.JSONEncoder(default=plain).encode
        )
    except ModuleNotFoundError as error:
        raise NotUsable(
            f'{masked(url)!r} needs {error.name}, which is not installed: install it, or leave it out of the URL'
        ) from None


class Connected(ABC):
    """A connection to a database that can hold the tables, as a context manager.

    :param url: the database's URL, as `engine` takes it.
    :raises NotUsable: where the URL is not that of such a database, or what is needed there is missing.
    :raises sqlalchemy.exc.DBAPIError: where the database cannot be reached.
    """

    def __init__(self, url: str) -> None:
        self._engine = engine(url)

    def __enter__(self) -> Self:
        self._connection = self._engine.connect()
        try:
            self._prepare()
        except BaseException:
            self._connection.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.close()
        self._engine.dispose()

    @abstractmethod
    def _prepare(self) -> None:
        """Make the connection ready for use."""

    def _require(self, kind: str, names: Iterable[str]) -> None:
        inspector = sa.inspect(self._connection)
        for name in names:
            if not inspector.has_table(name):
                raise NotUsable(f'The database has no {kind} {name!r}: run `celery toolbox tables` first')
