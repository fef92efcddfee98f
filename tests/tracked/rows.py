"""Tasks and results as they are in the tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from cadasta.workertoolbox.database.tables import result_tables, task
from rig.monitor.databases import TaskDatabase

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def minutes(number: float) -> datetime:
    """So many minutes after noon."""
    return NOON + timedelta(minutes=number)


def schedule(tasks: TaskDatabase, task_id: str, minute: float = 0, **values: Any) -> None:
    """Puts a task into the Task table."""
    schedule_all(tasks, [{'task_id': task_id, **values}], minute)


def schedule_all(tasks: TaskDatabase, rows: list[dict[str, Any]], minute: float = 0) -> None:
    """Puts tasks into the Task table, of which each but the first was seen a second after the one before."""
    with tasks.engine.begin() as connection:
        connection.execute(
            sa.insert(task),
            [
                {
                    'name': 'export.project',
                    'routing_key': 'export',
                    'root_id': row['task_id'],
                    'retries': 0,
                    'options': {},
                    'first_seen': seen,
                    'last_seen': seen,
                    **row,
                }
                for number, row in enumerate(rows)
                for seen in [minutes(minute + number / 60)]
            ],
        )


def store(tasks: TaskDatabase, task_id: str, status: str | None = 'SUCCESS', minute: float = 0, **values: Any) -> None:
    """Puts a result into Celery's table, which has no time zone."""
    table, _ = result_tables({}, {})
    number = tasks.execute('SELECT count(*) AS n FROM celery_taskmeta')[0]['n']
    tasks.execute(
        sa.insert(table).values(
            id=number + 1, task_id=task_id, status=status, date_done=minutes(minute).replace(tzinfo=None), **values
        )
    )
