"""The parts of the schema in PostgreSQL: how each is made, and how the catalogue tells whether it is there."""

from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateSequence, CreateTable

from ..seams.sqlalchemy_quoting import POSTGRESQL, QUOTE
from .quoting import literal, oid, quoted
from .tables import sequence, sorted_indexes

#: By this constraint, the database refuses results that are pickles: reading one runs the code in it.
NO_PICKLE = 'no_pickle'


class Step(NamedTuple):
    """A part of the schema.

    :param statements: these make it, in one transaction. Running them again changes nothing.
    :param is_there: an expression in SQL that is true if the database has the part.
    :param locks: the name in SQL of the table or view that nobody may use meanwhile, if it exists.
    """

    statements: tuple[Any, ...]
    is_there: str
    locks: str | None = None


def sequence_step(table: sa.Table) -> Step:
    """Make the sequence that numbers the rows of one of Celery's tables."""
    numbers = sequence(table)
    return Step((CreateSequence(numbers, if_not_exists=True),), f'{oid(QUOTE.format_sequence(numbers))} IS NOT NULL')


def table_step(table: sa.Table, with_indexes: bool) -> Step:
    """Make a table.

    :param with_indexes: whether to make its indexes in the same transaction. Nobody waits for those of a new table.
    """
    indexes = [CreateIndex(index, if_not_exists=True) for index in sorted_indexes(table)] if with_indexes else []
    return Step((CreateTable(table, if_not_exists=True), *indexes), f'{oid(QUOTE.format_table(table))} IS NOT NULL')


def columns_step(table: sa.Table) -> Step:
    """Add the columns that an older table lacks. PostgreSQL does not touch the rows for them."""
    name = QUOTE.format_table(table)
    columns = [column for column in table.columns if column.nullable]
    added = (f'ADD COLUMN IF NOT EXISTS {column.name} {column.type.compile(POSTGRESQL)}' for column in columns)
    names = ', '.join(quoted(column.name) for column in columns)
    return Step(
        (literal(f'ALTER TABLE {name} {", ".join(added)}'),),
        f'(SELECT count(*) FROM pg_attribute WHERE attrelid = {oid(name)} AND attname IN ({names})'
        f' AND NOT attisdropped) = {len(columns)}',
        name,
    )


def pickle_step(table: sa.Table, allow_pickle: bool) -> Step:
    """Let a table of results refuse pickles, or let it accept them."""
    name = QUOTE.format_table(table)
    is_refused = f"EXISTS (SELECT FROM pg_constraint WHERE conname = '{NO_PICKLE}' AND conrelid = {oid(name)})"
    if allow_pickle:
        return Step((literal(f'ALTER TABLE {name} DROP CONSTRAINT IF EXISTS {NO_PICKLE}'),), f'NOT {is_refused}', name)
    # NOT VALID leaves the rows alone that are there already.
    statement = f"""DO $$ BEGIN
    IF NOT {is_refused} THEN
        ALTER TABLE {name} ADD CONSTRAINT {NO_PICKLE}
            CHECK (substring(result FROM 1 FOR 1) <> decode('80', 'hex')) NOT VALID;
    END IF;
END $$"""
    return Step((literal(statement),), is_refused, name)
