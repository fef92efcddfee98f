"""Rule 10: delays, time limits and settings take effect."""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from ..rehearsal.observing import Observations
from ..rehearsal.reading import Timing
from ..seams.celery_settings import NEW_NAMES, OPTIONS
from ..settings.variables import VARIABLES
from .rule import Verdict, Violation

#: Amazon SQS delivers a message again after this time, in seconds, whatever the worker that holds it says.
LONGEST_HOLD_ON_SQS = 12 * 60 * 60

#: Celery reads these settings of workers elsewhere, too: beat and other commands log as they say.
_READ_ELSEWHERE = ('worker_direct', 'worker_hijack_', 'worker_log_', 'worker_redirect_', 'worker_task_log_')

#: `Config` makes other settings of these variables. Nobody reads them afterwards.
_READ_BY_CONFIG = frozenset(
    name for name in [*VARIABLES, 'QUEUE_PREFIX'] if name.startswith(('QUEUE', 'RESULT_DB_', 'ENV_PREFIX'))
)

_LIKENESS = 0.85


def judge(seen: Observations) -> Iterator[Verdict]:
    limits = seen.code.limits
    yield Verdict({'setting': 'task_soft_time_limit'}, _limits('setting task_soft_time_limit', limits))
    for name, timing in seen.code.tasks.items():
        yield Verdict({'task': name}, _timing(seen, f'task {name!r}', timing))
    for name, timing in seen.code.beat.items():
        yield Verdict({'beat_schedule': name}, _timing(seen, f'entry {name!r} of setting beat_schedule', timing))


def note(seen: Observations) -> str:
    """Name the settings that do nothing where they stand."""
    idle = [*_changed_too_late(seen), *_misspelt(seen), *_of_workers(seen)]
    settings = f'These settings do nothing where they stand: {"; ".join(idle)}.' if idle else ''
    return ' '.join(filter(None, (settings, _backoffs(seen))))


def _timing(seen: Observations, where: str, timing: Timing) -> Violation | None:
    no_numbers = timing.no_numbers
    for option, delay in timing.delays.items():
        if option in no_numbers:
            return _no_number(where, option, delay)
        if seen.sqs and delay > LONGEST_HOLD_ON_SQS:
            return Violation(
                'no message waits for longer than Amazon SQS lets a worker hold it, which is 12 hours',
                where,
                f'{option} is {delay:g} seconds',
                f'Set {option} to at most {LONGEST_HOLD_ON_SQS}. For what is due later, let an entry of beat_schedule '
                'send the task when it is due.',
            )
    limits = seen.code.limits
    if (timing.soft_time_limit, timing.time_limit) == (limits.soft_time_limit, limits.time_limit):
        # They come from the settings, which are judged once.
        return None
    return _limits(where, timing)


def _limits(where: str, timing: Timing) -> Violation | None:
    for option, value in timing.no_numbers.items():
        return _no_number(where, option, value)
    if not timing.is_contradictory:
        return None
    return Violation(
        'a soft time limit comes before the time limit',
        where,
        f'the soft time limit is {timing.soft_time_limit:g} seconds, and the time limit is {timing.time_limit:g}',
        'Set the soft time limit below the time limit. Celery refuses to send a task that has them this way round.',
    )


def _no_number(where: str, option: str, value: Any) -> Violation:
    return Violation(
        'delays and time limits are numbers of seconds',
        where,
        f'{option} is {value!r}',
        f'Give {option} as a number of seconds. Celery raises an error when it computes with anything else.',
    )


def _changed_too_late(seen: Observations) -> Iterator[str]:
    for name in sorted(seen.code.changed & _READ_BY_CONFIG):
        yield f'{name} was changed in app.conf, but only Config reads it: give it to Config'


def _misspelt(seen: Observations) -> Iterator[str]:
    for name in sorted((seen.code.given | seen.code.changed) - _READ_BY_CONFIG - VARIABLES.keys() - NEW_NAMES.keys()):
        if name != name.upper():
            continue
        spelt = name.removeprefix('CELERY_').lower()
        if spelt in OPTIONS:
            yield f'{name} is spelt {spelt} in Celery'
        elif close := get_close_matches(name, [*VARIABLES, *map(str.upper, OPTIONS)], n=1, cutoff=_LIKENESS):
            known = close[0] if close[0] in VARIABLES else close[0].lower()
            yield f'neither Config nor Celery knows {name}, but they know {known}'


def _of_workers(seen: Observations) -> Iterator[str]:
    if seen.worker is None:
        for name in sorted(seen.code.given | seen.code.changed):
            if name.startswith('worker_') and not name.startswith(_READ_ELSEWHERE):
                yield f'{name} is for workers, and none is started from this codebase'


def _backoffs(seen: Observations) -> str:
    tasks = ', '.join(map(repr, seen.code.idle_backoffs))
    return (
        f'Celery heeds retry_backoff only where a task has autoretry_for, and these have none: {tasks}.'
        if tasks
        else ''
    )
