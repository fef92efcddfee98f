"""Store the latest report of each worker. Whatever is wrong with reports, tasks are stored."""

import logging
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from ..database.dialects import INSERTS, NOW
from ..database.tables import workers
from ..errors import Unreadable
from ..reports.message import MAX_BODY, WorkerReport, from_body
from .body import load
from .message import Message
from .optional_table import OptionalTable

logger = logging.getLogger(__name__)

#: The table gets no more rows than these from reports. `toolbox prune` deletes old ones.
MAX_ROWS = 100_000

_IS_LAST = sa.bindparam('is_last', type_=sa.Boolean())


class Reports(OptionalTable):
    """Writes reports into ``celery_worker``, if the table is there and the role may."""

    def __init__(self) -> None:
        super().__init__(workers)

    def write(self, connection: sa.Connection, messages: Sequence[Message]) -> list[tuple[Message, str]]:
        """Store reports.

        :param connection: a connection to the database.
        :param messages: the messages that say that they are reports.
        :returns: those that are none, each with the reason.
        :raises sqlalchemy.exc.DBAPIError: where the database is away.
        """
        latest: dict[str, WorkerReport] = {}
        refused = []
        for message in messages:
            try:
                report = _read(message)
            except Unreadable as error:
                refused.append((message, str(error)))
            else:
                known = latest.setdefault(report.boot, report)
                latest[report.boot] = max(known, report, key=lambda item: item.number)
        if latest:
            self.attempt(connection, lambda: self._store(connection, latest))
        return refused

    def _store(self, connection: sa.Connection, latest: dict[str, WorkerReport]) -> None:
        known = set(connection.scalars(sa.select(workers.c.boot).where(workers.c.boot.in_(sorted(latest)))))
        room = MAX_ROWS
        if latest.keys() - known:
            room -= connection.scalar(sa.select(sa.func.count()).select_from(workers)) or 0
        new = sorted(latest.keys() - known)
        if len(new) > room:
            logger.warning(
                'The table %s has %d rows, and gets no more: %d new workers are not noted. Run `celery toolbox prune`.',
                workers.name,
                MAX_ROWS,
                len(new) - room,
            )
        rows = [latest[boot]._asdict() for boot in sorted([*known, *new[: max(room, 0)]])]
        if rows:
            connection.execute(_statement(connection.dialect.name), rows)


def _read(message: Message) -> WorkerReport:
    if len(message.body) > MAX_BODY:
        raise Unreadable(f'the report of a worker has {len(message.body)} bytes, and at most {MAX_BODY} are read')
    return from_body(load(message.body, {}, message.properties))


def _statement(dialect: str) -> Any:
    now = NOW[dialect]
    made = INSERTS[dialect](workers).values(first_seen=now, last_seen=now, ended=sa.case((_IS_LAST, now)))
    kept = (workers.c.boot, workers.c.first_seen)
    return made.on_conflict_do_update(
        index_elements=[workers.c.boot],
        set_={column.name: made.excluded[column.name] for column in workers.columns if column not in kept},
        where=workers.c.number < made.excluded.number,
    )
