"""Read what workers reported, and how far the monitors have read.

A worker is silent if a monitor has read for so long that it must have met three more reports. So a monitor that is
away, or behind, makes nobody silent: what workers sent meanwhile waits in the platform queue.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ..database.tables import workers
from ..database.values import zoned

#: A worker that reports each 30 seconds is silent after so many.
SILENT_AFTER = 90

_LIST = """
SELECT celery_worker.*,
    CASE
        WHEN ended IS NOT NULL THEN 'ended'
        WHEN last_seen < {silent} THEN 'silent'
        ELSE 'alive'
    END AS standing
FROM celery_worker
WHERE last_seen >= :since
ORDER BY last_seen DESC, boot"""
_SILENT = {
    'postgresql': "(SELECT max(caught_up) FROM celery_monitor) - CAST(:after AS integer) * interval '1 second'",
    'sqlite': "strftime('%Y-%m-%d %H:%M:%f000', (SELECT max(caught_up) FROM celery_monitor), -:after || ' seconds')",
}


@dataclass(frozen=True)
class ReportedWorker:
    """A worker, from its start to its end. Its times have a time zone, and are those of the monitor's database.

    :param boot: the id of this start.
    :param standing: ``alive``, ``silent`` or ``ended``.
    :param name: its name in Celery.
    :param host: the name of its host.
    :param pid: the id of its main process.
    :param queues: the names of the queues that it consumes.
    :param pool: the kind of its pool.
    :param concurrency: how many tasks it can run at a time.
    :param active: how many tasks it ran when it reported last.
    :param held: how many messages it held then.
    :param done: how many tasks it had finished by then, since its start.
    :param versions: the versions of Celery, kombu, this package and Python.
    :param first_seen: when the monitor stored its first report.
    :param last_seen: when the monitor stored its latest report.
    :param ended: when the monitor stored that it ended; `None` if it has not said so.

    >>> from datetime import UTC, timedelta
    >>> from cadasta.workertoolbox import TrackedTasks, upgrade
    >>> upgrade('sqlite:///tasks.db')
    >>> with TrackedTasks('sqlite:///tasks.db') as tracked:
    ...     [worker.name for worker in tracked.workers(datetime.now(UTC) - timedelta(days=1))]
    []
    """

    boot: str
    standing: str
    name: str
    host: str
    pid: int
    queues: list[str]
    pool: str
    concurrency: int
    active: int
    held: int
    done: int
    versions: dict[str, str]
    first_seen: datetime
    last_seen: datetime
    ended: datetime | None


def listing(dialect: str, since: datetime) -> Any:
    """Make the query for the workers that were seen since a time."""
    text = sa.text(_LIST.format(silent=_SILENT[dialect])).columns(*workers.columns, sa.column('standing', sa.String()))
    return text.bindparams(sa.bindparam('since', since, type_=workers.c.last_seen.type), after=SILENT_AFTER)


def worker_of(row: Any) -> ReportedWorker:
    """Read a row of the query."""
    values = {name: zoned(value) for name, value in row._mapping.items() if name != 'number'}
    return ReportedWorker(**values)
