"""Judge the platform as a whole, for a system that watches it: what is late, stuck, lost, rejected or silent.

``queues`` asks the broker, as ``tracked.readings`` asks the database. ``judging`` compares what they say with the
limits, and ``verdict`` writes it down as Nagios reads it.
"""

from collections.abc import Sequence
from contextlib import ExitStack

from celery import Celery

from ..tracked.readings import OutboxReadings, Readings, Unpublished
from .judging import Limits, judge
from .queues import look
from .verdict import State, Verdict

__all__ = ['Limits', 'State', 'Verdict', 'judge_platform']


def judge_platform(app: Celery, database: str, limits: Limits, outboxes: Sequence[str] = ()) -> Verdict:
    """Judge the platform. This changes nothing.

    :param app: an app that is configured by a `cadasta.workertoolbox.conf.Config`.
    :param database: the URL of the database that the monitor writes.
    :param limits: from when on something is late.
    :param outboxes: the URLs of other databases that have an outbox.
    :returns: the verdict.
    :raises NotConfigured: where the app is configured by something else.
    :raises NotUsable: where the database lacks a table or the role a right.
    :raises sqlalchemy.exc.DBAPIError: where the database cannot be reached.
    :raises Exception: what the client of the broker raises where that cannot be reached.

    >>> from cadasta.workertoolbox import Config, Monitor, upgrade
    >>> app = Celery('platform')
    >>> app.config_from_object(Config(QUEUES=['export'], broker_url='memory://'))
    >>> upgrade('sqlite:///tasks.db')
    >>> judge_platform(app, 'sqlite:///tasks.db', Limits(60, 600)).state.name
    'UNKNOWN'
    """
    with ExitStack() as stack:
        readings = stack.enter_context(Readings(database))
        others = [stack.enter_context(OutboxReadings(url)) for url in outboxes]

        def look_at_outboxes() -> dict[str, Unpublished]:
            own = readings.unpublished()
            found = {} if own is None else {readings.where: own}
            return found | {other.where: other.unpublished() for other in others}

        return judge(readings, lambda reported: look(app, reported), limits, look_at_outboxes)
