"""The views that join tasks to their results. Their SQL is in the files below ``sql``."""

from collections.abc import Iterator
from importlib.resources import files

import sqlalchemy as sa

from ..seams.sqlalchemy_quoting import QUOTE
from .quoting import literal

#: Every task and every result.
VIEW = 'celery_task_status'
#: The tasks of that view that are stored. Their status is NULL where there is no result. PostgreSQL uses its indexes
#: for any condition and any order on this view. On the whole view, which is a union, it uses them for conditions only.
SCHEDULED_VIEW = 'celery_task_scheduled'


def view_statements(results: sa.Table, on_postgresql: bool) -> Iterator[sa.TextClause]:
    """Give the statements that create the views, or replace them.

    :param results: the table of results.
    :param on_postgresql: whether the database is PostgreSQL, and not SQLite.
    """
    if not on_postgresql:
        for name in (VIEW, SCHEDULED_VIEW):
            yield sa.text(f'DROP VIEW IF EXISTS {name}')
    # When a view is replaced, people keep the rights that they were granted on it.
    create = 'CREATE OR REPLACE VIEW' if on_postgresql else 'CREATE VIEW'
    for name in (SCHEDULED_VIEW, VIEW):
        dialect = 'postgresql' if on_postgresql else 'sqlite'
        query = files(__package__).joinpath(f'sql/{dialect}/{name}.sql').read_text()
        yield literal(f'{create} {name} AS\n{query.replace("{results}", QUOTE.format_table(results))}')
