"""Send tasks again, as they were: release the row of each, and publish its message through the app's own topology."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from celery import Celery, states
from celery.exceptions import QueueNotFound

from ..architecture import CHORD_UNLOCK
from ..database.connection import Connected
from ..database.tables import result_tables, task
from ..database.values import aware
from ..database.views import SCHEDULED_VIEW
from ..errors import NotConfigured
from ..results.claim import DONE, NOW, text
from ..seams.sqlalchemy_quoting import QUOTE
from ..signals import group_message
from ..topology import Declaration, Topology
from ..tracked.columns import SCHEDULED
from ..tracked.filter import Filter, indexed
from ..tracked.portions import VALUES, portions
from ..tracked.relations import join_of
from ..tracked.task import TrackedTask
from ..tracked.workflow_search import unlocks_of
from .followers import followers
from .lost import Suspect
from .message import NotSendable, Rebuilt, rebuilt

#: A task is sent again this often.
LIMIT = 3

# Nobody claims the watch over a chord, and its success says only that it is over.
_RELEASE = """
UPDATE {table} SET
    status = 'PENDING', result = NULL, traceback = NULL, date_done = {done}, lease = NULL, role = NULL
WHERE task_id = :task_id AND status = :status AND COALESCE(runs, 0) = :runs
    AND (lease IS NULL OR lease < {now}) AND (status <> 'SUCCESS' OR :is_watch)"""

_COUNT = sa.text("""
UPDATE celery_task SET resent = COALESCE(resent, 0) + 1
WHERE task_id = :task_id AND COALESCE(resent, 0) = :resent""")

_FOLLOWERS = """
UPDATE {table} SET status = 'PENDING', result = NULL, traceback = NULL, date_done = {done}, role = NULL
WHERE task_id IN :task_ids AND status = 'FAILURE' AND runs = 0
    AND NOT EXISTS (SELECT 1 FROM celery_task t WHERE t.task_id = {table}.task_id)
RETURNING task_id"""


@dataclass(frozen=True)
class Parcel:
    """A task that can be sent again.

    :param row: its row of the Task table, with the columns of its result.
    :param message: its message.
    :param declaration: what has to be declared before it is published.
    """

    row: Any
    message: Rebuilt
    declaration: Declaration


class Resending(Connected):
    """A connection to the database by which tasks are sent again, as a context manager.

    A role may use it that may SELECT from ``celery_task``, ``celery_task_scheduled`` and Celery's table of results, and
    UPDATE ``celery_task`` (``resent``) and that table.

    :param app: an app that is configured by a `cadasta.workertoolbox.conf.Config`, and has the queues of the tasks.
    :param url: the URL of the database.
    :param force: whether to send a task again that was sent again `LIMIT` times.
    :raises NotConfigured: where the app is configured by something else.
    """

    def __init__(self, app: Celery, url: str, force: bool = False) -> None:
        super().__init__(url)
        self._app = app
        self._force = force
        names, schemas = app.conf.database_table_names or {}, app.conf.database_table_schemas or {}
        topology = getattr(app.loader.conf, 'topology', None)
        if not isinstance(topology, Topology):
            raise NotConfigured(f'App {app.main!r} is not configured by a Config, so nobody knows its work queues')
        self._topology = topology
        table, _ = result_tables(names, schemas)
        self._results = table
        dialect = self._engine.dialect.name
        parts = {'table': QUOTE.format_table(table), 'done': DONE[dialect], 'now': NOW[dialect]}
        self._watches: list[Parcel] = []
        self._release = text(_RELEASE, parts)
        self._release_followers = text(_FOLLOWERS, parts).bindparams(sa.bindparam('task_ids', expanding=True))

    def _prepare(self) -> None:
        self._require('view', (SCHEDULED_VIEW,))
        self._connection.rollback()

    def failed(self, where: Filter) -> list[str]:
        """List the tasks that failed.

        :param where: the tasks to look at.
        :returns: their ids, those that were sent first at the front.
        """
        query = (
            sa.select(SCHEDULED.task_id)
            .where(*indexed(where, SCHEDULED), SCHEDULED.status == states.FAILURE, SCHEDULED.standing == 'failed')
            .order_by(SCHEDULED.first_seen)
        )
        with self._connection.begin():
            return list(self._connection.scalars(query))

    def standings(self, ids: Collection[str]) -> dict[str, str]:
        """Tell what has become of tasks.

        :param ids: their ids.
        :returns: the standing of each task that is tracked.
        """
        found: dict[str, str] = {}
        with self._connection.begin():
            for some in portions(sorted(ids), VALUES):
                query = sa.select(SCHEDULED.task_id, SCHEDULED.standing).where(SCHEDULED.task_id.in_(some))
                found.update((row.task_id, row.standing) for row in self._connection.execute(query))
        return found

    def parcel(self, task_id: str) -> Parcel:
        """Make ready what is needed to send a task again. Nothing is changed yet.

        :param task_id: the id of a task that is tracked.
        :raises NotSendable: where it cannot be sent again, or was sent again too often.
        """
        with self._connection.begin():
            return self._parcel(task_id, self._force)

    def _parcel(self, task_id: str, force: bool) -> Parcel:
        results = self._results.c
        query = (
            sa.select(*task.columns, results.status, results.runs)
            .outerjoin_from(task, self._results, results.task_id == task.c.task_id)
            .where(task.c.task_id == task_id)
        )
        row = self._connection.execute(query).one()
        if (row.resent or 0) >= LIMIT and not force:
            raise NotSendable(f'it was sent again {row.resent} times already, and --force sends it once more')
        if row.expires is not None and aware(row.expires) < datetime.now(UTC):
            raise NotSendable('it expired, and no worker would run it')
        message = rebuilt(row)
        try:
            return Parcel(row, message, self._topology.declaration(row.name, row.routing_key))
        except QueueNotFound as error:
            raise NotSendable(str(error)) from None

    def send(self, parcel: Parcel) -> None:
        """Release the row of a task and of those that failed because of it, and publish its message.

        :param parcel: the task.
        :raises NotSendable: where its row has changed in the meantime.
        """
        row = parcel.row
        after = followers(row.group_id, row.options)
        with self._connection.begin():
            self._release_row(row)
            released: set[str] = set()
            if row.status == states.FAILURE and after.task_ids:
                found = self._connection.execute(
                    self._release_followers, {'task_ids': sorted(after.task_ids), 'age': 0}
                )
                released = {follower.task_id for follower in found}
            watches = [self._parcel(task_id, force=True) for task_id in self._watches_of(after.group_ids, released)]
            for watch in watches:
                self._release_row(watch.row)
        self._watches += watches
        self._publish(parcel)

    def send_watches(self) -> Iterator[tuple[str, str]]:
        """Publish Celery's watches over the chords whose tasks were sent: a watch ends when its chord fails.

        Do so when all tasks were sent. A watch that finds a task of its chord which has failed fails the chord again.
        If this is never done, the watches are lost, and `Losses` finds them.

        :returns: the ids and names of the watches.
        """
        while self._watches:
            watch = self._watches.pop(0)
            self._publish(watch)
            yield watch.row.task_id, watch.row.name

    def _release_row(self, row: Any) -> None:
        values = {
            'task_id': row.task_id,
            'status': row.status,
            'runs': row.runs or 0,
            'is_watch': row.name == CHORD_UNLOCK,
            'age': 0,
        }
        is_counted = self._connection.execute(_COUNT, {'task_id': row.task_id, 'resent': row.resent or 0}).rowcount
        # A task that has not started has no row, or one that waits already.
        needs_release = row.status not in (None, states.PENDING)
        if not is_counted or (needs_release and not self._connection.execute(self._release, values).rowcount):
            raise NotSendable('its row has changed in the meantime')

    def _watches_of(self, group_ids: Collection[str], released: set[str]) -> list[str]:
        """Find the watches over chords whose bodies were released."""
        columns = (SCHEDULED.task_id, SCHEDULED.status, SCHEDULED.name, SCHEDULED.args, SCHEDULED.kwargs)
        found = []
        for group_id in sorted(group_ids) if released else ():
            rows = self._connection.execute(sa.select(*columns).where(unlocks_of(SCHEDULED, group_id))).all()
            joins = {row.task_id: join_of(TrackedTask(**row._mapping)) for row in rows}
            found += [task_id for task_id, join in joins.items() if join is not None and join.body_id in released]
        return found

    def _publish(self, parcel: Parcel) -> None:
        headers, properties = dict(parcel.message.headers), dict(parcel.message.properties)
        if parcel.declaration.grouped:
            group_message(headers, properties, parcel.declaration.fair)
        with self._app.producer_or_acquire() as producer:
            producer.publish(
                parcel.message.body,
                exchange=self._topology.exchange,
                routing_key=parcel.row.routing_key,
                declare=[parcel.declaration],
                headers=headers,
                retry=True,
                retry_policy=self._app.conf.task_publish_retry_policy,
                **properties,
            )


def refusal(standing: str | None, suspect: Suspect | None) -> str:
    """Tell why a task is not sent again, by what has become of it; empty where it may be.

    :param standing: its standing; `None` where it is not tracked.
    :param suspect: what proves that it is lost, or why that is not proved; `None` where it is not overdue.
    """
    if suspect is not None:
        return '' if suspect.proof else f'it is not proved to be lost: {suspect.doubt}'
    return _REFUSALS.get(standing, '')


_TOO_EARLY = 'it is not overdue: nothing is called lost that happened within the last minute'
_REFUSALS: Mapping[str | None, str] = {
    None: 'it is not tracked: its id is wrong, or no monitor has stored it yet',
    'succeeded': 'it succeeded',
    'running': 'it runs',
    'waiting': 'it waits for its eta',
    'expired': 'it expired',
    'unknown': 'it ignores its result, so nobody knows whether it ran',
    **dict.fromkeys(('queued', 'retrying', 'lost'), _TOO_EARLY),
}
