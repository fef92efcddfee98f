"""A table that the monitor can do without: tasks are stored, whatever is wrong with it."""

import logging
from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.exc import ProgrammingError

logger = logging.getLogger(__name__)


class OptionalTable:
    """Runs statements on a table, unless the table is missing or the role may not use it. It says so once.

    :param table: the table.
    """

    def __init__(self, table: sa.Table) -> None:
        self._table = table
        self._is_usable = False

    def prepare(self, connection: sa.Connection) -> None:
        """Look whether the table is there. A new connection tries what an older one gave up."""
        self._is_usable = sa.inspect(connection).has_table(self._table.name)
        if not self._is_usable:
            self._warn('there is no such table')

    def attempt(self, connection: sa.Connection, run: Callable[[], object]) -> None:
        """Run statements in a transaction, if the table is usable.

        :raises sqlalchemy.exc.DBAPIError: where the database is away.
        """
        if not self._is_usable:
            return
        try:
            with connection.begin():
                run()
        except ProgrammingError as error:
            self._is_usable = False
            self._warn(str(error.orig).strip())

    def _warn(self, why: str) -> None:
        logger.warning(
            'Tasks are stored, but nothing is written into %s: %s. Run `celery toolbox tables`, with --monitor-role if '
            'the monitor has a role of its own, and then restart the monitor.',
            self._table.name,
            why,
        )
