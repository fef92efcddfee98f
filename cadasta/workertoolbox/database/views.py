"""The views that join tasks to their results. Their SQL is in the files below ``sql``."""

from collections.abc import Iterator
from hashlib import sha256
from importlib.resources import files

import sqlalchemy as sa

from ..seams.sqlalchemy_quoting import QUOTE
from .quoting import literal, oid
from .steps import Step

#: Every task and every result.
VIEW = 'celery_task_status'
#: The tasks of that view that are stored. Their status is NULL where there is no result. PostgreSQL uses its indexes
#: for any condition and any order on this view. On the whole view, which is a union, it uses them for conditions only.
SCHEDULED_VIEW = 'celery_task_scheduled'

_ORDER = (SCHEDULED_VIEW, VIEW)


def view_steps(results: sa.Table) -> Iterator[Step]:
    """Give the steps that make the views in PostgreSQL, or replace them.

    People keep the rights that they were granted on a view. A comment on each view has a digest of it, because
    PostgreSQL does not keep the text of a view.

    :param results: the table of results.
    """
    for name in _ORDER:
        statement = f'CREATE OR REPLACE VIEW {name} AS\n{_query("postgresql", name, results)}'
        digest = sha256(statement.encode()).hexdigest()
        comment = f"'Made by celery toolbox tables: ' || md5(ev_action::text || '{digest}')"
        rule = f"FROM pg_rewrite WHERE ev_class = {oid(name)} AND rulename = '_RETURN'"
        yield Step(
            (
                literal(statement),
                literal(f"""DO $$ BEGIN
    EXECUTE (SELECT format('COMMENT ON VIEW {name} IS %L', {comment}) {rule});
END $$"""),
            ),
            f"EXISTS (SELECT {rule} AND obj_description(ev_class, 'pg_class') = {comment})",
            name,
        )


def statements_for_sqlite(results: sa.Table) -> Iterator[sa.TextClause]:
    """Give the statements that make the views in SQLite again.

    :param results: the table of results.
    """
    for name in reversed(_ORDER):
        yield literal(f'DROP VIEW IF EXISTS {name}')
    for name in _ORDER:
        yield literal(f'CREATE VIEW {name} AS\n{_query("sqlite", name, results)}')


def _query(dialect: str, name: str, results: sa.Table) -> str:
    query = files(__package__).joinpath(f'sql/{dialect}/{name}.sql').read_text()
    return query.replace('{results}', QUOTE.format_table(results))
