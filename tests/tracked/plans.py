"""Plans of PostgreSQL for the queries of a reader."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import sqlalchemy as sa

from cadasta.workertoolbox.database.connection import prepare_to_read
from cadasta.workertoolbox.tracked import TrackedTasks
from rig.monitor.databases import TaskDatabase

Reader = TypeVar('Reader', bound=TrackedTasks)


@contextmanager
def explained(tasks: TaskDatabase, kind: type[Reader] = TrackedTasks) -> Iterator[tuple[Reader, list[str]]]:
    """Gives a reader, and the plans of PostgreSQL for its queries, if it reads no table that it can do without."""
    with kind(tasks.url) as tracked, tasks.engine.begin() as connection:
        prepare_to_read(connection)
        connection.execute(sa.text('SET enable_seqscan = off'))
        plans: list[str] = []

        def explain(_: object, cursor: object, statement: str, parameters: dict[str, str], *others: object) -> None:
            plan = connection.exec_driver_sql(f'EXPLAIN {statement}', parameters)
            plans.append('\n'.join(row[0] for row in plan))

        sa.event.listen(tracked._engine, 'before_cursor_execute', explain)
        yield tracked, plans
