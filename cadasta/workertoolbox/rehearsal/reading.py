"""Read the settings, delays and time limits that the code of an app shows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from celery import Celery, Task

from ..seams.celery_settings import OPTIONS
from ..topology import Topology


class Timing(NamedTuple):
    """The delays and time limits of a task, of an entry of beat, or of the settings, in seconds.

    :param delays: the delays, by the option that has them.
    :param soft_time_limit: the time after which a worker raises ``SoftTimeLimitExceeded`` in the task, or `None`.
    :param time_limit: the time after which a worker kills the task, or `None`.
    """

    delays: Mapping[str, float]
    soft_time_limit: float | None
    time_limit: float | None

    @property
    def is_contradictory(self) -> bool:
        """Whether the soft limit is above the hard one.

        >>> Timing({}, soft_time_limit=60, time_limit=30).is_contradictory
        True
        """
        if self.no_numbers or not self.soft_time_limit or not self.time_limit:
            return False
        return self.soft_time_limit > self.time_limit

    @property
    def no_numbers(self) -> dict[str, Any]:
        """The delays and limits that are no numbers, by the option that has them. Celery would raise an error there.

        >>> Timing({'countdown': 60}, soft_time_limit=None, time_limit='30').no_numbers
        {'time_limit': '30'}
        """
        values = {**self.delays, 'soft_time_limit': self.soft_time_limit, 'time_limit': self.time_limit}
        return {name: value for name, value in values.items() if not isinstance(value, int | float | None)}


@dataclass
class Code:
    """The things that the code of an app shows.

    :param has_config: whether a `Config` configures the app.
    :param given: the names of all settings and variables that the `Config` has. Without a `Config`, there are none.
    :param changed: the names of those that ``app.conf`` has otherwise than the `Config`.
    :param limits: the time limits in the settings.
    :param tasks: the delays and time limits of the app's tasks.
    :param beat: those of the entries of ``beat_schedule``.
    :param lacks_router: whether a `Config` configures the app, and its router is not among ``task_routes``.
    :param idle_backoffs: the tasks that have ``retry_backoff`` and no ``autoretry_for``.
    """

    has_config: bool
    given: frozenset[str]
    changed: frozenset[str]
    limits: Timing
    tasks: dict[str, Timing]
    beat: dict[str, Timing]
    lacks_router: bool
    idle_backoffs: list[str]


def read(app: Celery, tasks: Mapping[str, Task]) -> Code:
    """Read the code of an app.

    :param app: the app, with its task modules imported.
    :param tasks: its tasks.
    """
    config = app.loader.conf
    has_config = isinstance(getattr(config, 'topology', None), Topology)
    given = dict(config) if has_config else {}
    return Code(
        has_config=has_config,
        given=frozenset(given),
        changed=frozenset(_changed(app, given)) if has_config else frozenset(),
        limits=Timing({}, app.conf.task_soft_time_limit, app.conf.task_time_limit),
        tasks={name: _timing_of_task(task) for name, task in tasks.items()},
        beat={name: _timing_of_entry(app, entry) for name, entry in app.conf.beat_schedule.items()},
        lacks_router=has_config
        and config.topology not in (getattr(route, '__self__', None) for route in app.amqp.routes),
        idle_backoffs=[name for name, task in tasks.items() if _has_backoff(task) and not _retries_itself(task)],
    )


def _changed(app: Celery, given: Mapping[str, Any]) -> Iterator[str]:
    before = {**{name: option.default for name, option in OPTIONS.items()}, **given}
    for name, value in app.conf.changes.items():
        # Celery may put a copy of all settings there.
        if name not in before or value != before[name]:
            yield name


def _timing_of_task(task: Task) -> Timing:
    delays = {'default_retry_delay': task.default_retry_delay or 0}
    if _has_backoff(task) and _retries_itself(task):
        # Without this attribute, Celery takes 600 seconds.
        delays['retry_backoff_max'] = getattr(task, 'retry_backoff_max', 600)
    elif _retries_itself(task):
        delays['countdown of retry_kwargs'] = getattr(task, 'retry_kwargs', {}).get('countdown') or 0
    return Timing(delays, task.soft_time_limit, task.time_limit)


def _timing_of_entry(app: Celery, entry: Any) -> Timing:
    """Read an entry of beat. It has only those limits that its own options change."""
    fields = dict(entry)
    options = dict(fields.get('options') or {})
    delays = {'countdown': options.get('countdown') or 0}
    if not options.keys() & {'soft_time_limit', 'time_limit'}:
        return Timing(delays, None, None)
    task = app.tasks.get(fields['task'])
    soft, hard = (options.get(name) or getattr(task, name, None) for name in ('soft_time_limit', 'time_limit'))
    return Timing(delays, soft, hard)


def _has_backoff(task: Task) -> bool:
    return bool(getattr(task, 'retry_backoff', False))


def _retries_itself(task: Task) -> bool:
    return bool(getattr(task, 'autoretry_for', ()))
