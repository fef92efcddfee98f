"""A task, as a row of the view of tasks and results."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from celery import states

from ..database.values import zoned

#: The states that Celery gives, in the order in which a task goes through them. A task may have a state of its own,
#: too.
STATES = (states.PENDING, states.RECEIVED, states.STARTED, states.RETRY, states.SUCCESS, states.FAILURE, states.REVOKED)

#: The standings of a task, which say what has become of it. ``lost``: its worker does not vouch for it any more.
#: ``unknown``: nobody stores its result.
STANDINGS = (
    'waiting',
    'queued',
    'running',
    'retrying',
    'succeeded',
    'failed',
    'cancelled',
    'expired',
    'unknown',
    'lost',
)


class Cursor(NamedTuple):
    """A place in the list of all tasks: the place of the task with these values.

    :param first_seen: when the monitor stored it; `None` where the task is not stored.
    :param task_id: its id.

    >>> TrackedTask('1', 'SUCCESS').cursor
    Cursor(first_seen=None, task_id='1')
    """

    first_seen: datetime | None
    task_id: str


@dataclass(frozen=True)
class TrackedTask:
    """A row of the view ``celery_task_status``. All times have a time zone.

    Where a result is stored but its task is not, the values that the message would have brought are `None`.

    :param task_id: the id of the task.
    :param status: its state. It is ``PENDING`` where there is no result: the task has not begun, its worker does not
        store when it begins, or it ignores its result.
    :param date_done: when its state last changed. For the state ``STARTED``, that is when it started.
    :param result: the value that it returned or raised, as its worker serialized it.
    :param first_seen: when the monitor stored its first message.
    :param last_seen: when the monitor stored its latest message.
    :param sent: when its producer sent its latest message, by the producer's clock.
    :param started: when a worker last started it.
    :param worker: the worker that started it.
    :param runs: how often workers have started it; `None` where they do not say so.
    :param waited: the seconds from when it was sent, or from its ``eta``, until it started. The clocks of the producer
        and of the database may differ, and then it may be less than 0.
    :param ran: the seconds from when it started until it ended, or until now.
    :param standing: what has become of it, one of ``STANDINGS``.
    :param resent: how often somebody has sent it again.

    The other parameters are the columns of the Task table.

    >>> task = TrackedTask('1', 'SUCCESS', name='export.project')
    >>> task.is_done, task.name
    (True, 'export.project')
    """

    task_id: str
    status: str
    date_done: datetime | None = None
    result: bytes | None = None
    traceback: str | None = None
    name: str | None = None
    args: Any = None
    kwargs: Any = None
    root_id: str | None = None
    parent_id: str | None = None
    group_id: str | None = None
    routing_key: str | None = None
    eta: datetime | None = None
    expires: datetime | None = None
    retries: int | None = None
    timelimit: Any = None
    origin: str | None = None
    options: Any = None
    first_seen: datetime | None = None
    last_seen: datetime | None = None
    sent: datetime | None = None
    started: datetime | None = None
    worker: str | None = None
    runs: int | None = None
    waited: float | None = None
    ran: float | None = None
    standing: str = 'unknown'
    resent: int | None = None

    @property
    def cursor(self) -> Cursor:
        """Its place in the list of all tasks."""
        return Cursor(self.first_seen, self.task_id)

    @property
    def is_done(self) -> bool:
        """Whether its state is final."""
        return self.status in states.READY_STATES

    @property
    def scheduled(self) -> datetime | None:
        """When it was scheduled: when it was sent, or when the monitor stored it if that was before.

        Its latest message may be that of a retry, which was sent later. And the clock of its producer may be ahead.

        >>> from datetime import UTC
        >>> noon = datetime(2030, 1, 1, 12, tzinfo=UTC)
        >>> TrackedTask('1', 'SUCCESS', first_seen=noon + timedelta(minutes=1), sent=noon).scheduled == noon
        True
        """
        return min((moment for moment in (self.sent, self.first_seen) if moment is not None), default=None)

    @property
    def duration(self) -> timedelta | None:
        """The time from when it was scheduled until it was done. That includes its time in the queue.

        It is `None` where the task is not done, or one of the times is not known.

        >>> from datetime import UTC
        >>> noon = datetime(2030, 1, 1, 12, tzinfo=UTC)
        >>> TrackedTask('1', 'SUCCESS', first_seen=noon, date_done=noon + timedelta(seconds=3)).duration
        datetime.timedelta(seconds=3)
        """
        if not self.is_done or self.scheduled is None or self.date_done is None:
            return None
        # The clocks of two machines differ. A row of version 1.0 does not say when the task was sent, and its monitor
        # may have stored it after a worker had run it.
        return max(self.date_done - self.scheduled, timedelta())


def tracked_task(values: Mapping[str, Any]) -> TrackedTask:
    """Make a task of the values of its row.

    :param values: the values by column, as the database gives them.

    >>> task = tracked_task({'task_id': '1', 'status': None, 'first_seen': datetime(2030, 1, 1)})
    >>> task.status, str(task.first_seen)
    ('PENDING', '2030-01-01 00:00:00+00:00')
    """
    found = {name: zoned(value) for name, value in values.items()}
    return TrackedTask(**{**found, 'status': found['status'] or STATES[0]})
