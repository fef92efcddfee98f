"""Judge the platform as a whole, for a system that watches it: what is late, stuck, lost, rejected or silent.

``queues`` asks the broker, as ``tracked.readings`` asks the database. ``judging`` compares what they say with the
limits, and ``verdict`` writes it down as Nagios reads it.
"""

from celery import Celery

from ..tracked.readings import Readings
from .judging import Limits, judge
from .queues import look
from .verdict import State, Verdict

__all__ = ['Limits', 'State', 'Verdict', 'judge_platform']


def judge_platform(app: Celery, database: str, limits: Limits) -> Verdict:
    """Judge the platform. This changes nothing.

    :param app: an app that is configured by a `cadasta.workertoolbox.conf.Config`.
    :param database: the URL of the database that the monitor writes.
    :param limits: from when on something is late.
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
    with Readings(database) as readings:
        return judge(readings, lambda reported: look(app, reported), limits)
