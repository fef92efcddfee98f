"""Build indexes in PostgreSQL while others write the table."""

from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex

from ..seams.sqlalchemy_quoting import POSTGRESQL, QUOTE
from .quoting import literal, oid, quoted


class IndexStep(NamedTuple):
    """An index of a table that may have rows and be in use.

    :param name: the name of the index.
    :param table: the name of the table in SQL.
    :param plain: the statement that builds it in a transaction. Those who write the table have to wait meanwhile.
    """

    name: str
    table: str
    plain: str

    @property
    def is_there(self) -> str:
        """An expression in SQL that is true if the database has the whole index."""
        return f'EXISTS ({self._found} AND indisvalid)'

    @property
    def concurrently(self) -> sa.TextClause:
        """The statement that builds it beside those who write the table. It cannot be run in a transaction."""
        return literal(self.plain.replace('CREATE INDEX ', 'CREATE INDEX CONCURRENTLY ', 1))

    def build(self, connection: sa.Connection) -> None:
        """Build the index.

        :param connection: a connection on which each statement is a transaction of its own.
        """
        # A build that was killed or gave up left an index that nobody uses, and everybody has to keep up to date.
        for name in connection.scalars(literal(f'{self._found} AND NOT indisvalid')).all():
            connection.execute(literal(f'DROP INDEX CONCURRENTLY {name}'))
        is_partitioned = f"SELECT relkind = 'p' FROM pg_class WHERE oid = {oid(self.table)}"
        # PostgreSQL cannot do it for a partitioned table.
        connection.execute(literal(self.plain) if connection.scalar(literal(is_partitioned)) else self.concurrently)

    @property
    def _found(self) -> str:
        return (
            f'SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid '
            f'WHERE indrelid = {oid(self.table)} AND relname = {quoted(self.name)}'
        )


def index_step(index: sa.Index, table: sa.Table) -> IndexStep:
    """Make the step for an index."""
    statement = str(CreateIndex(index, if_not_exists=True).compile(dialect=POSTGRESQL))
    return IndexStep(str(index.name), QUOTE.format_table(table), statement)
