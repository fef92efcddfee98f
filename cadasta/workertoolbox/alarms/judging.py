"""Compare what database and broker say with the limits.

What waits in a queue at one moment may be gone at the next. So a queue is called late or stuck only where several looks
in a row say so.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from typing import NamedTuple

from ..check.platform_queue import Depth
from ..durations import written
from ..topology import key_of
from ..tracked import ReportedWorker
from ..tracked.readings import Readings, Unpublished, consumers, silent
from .queues import Queues
from .verdict import Problem, State, Verdict

#: The pauses between two looks at the queues, in seconds.
PAUSES = (1.5, 1.5)
# So many queues, or workers, are named in a text.
_NAMED = 10


class Limits(NamedTuple):
    """From when on something is late.

    :param warn: a delay of so many seconds is a warning.
    :param crit: a delay of so many seconds is critical.

    >>> Limits(60, 600).state(61)
    <State.WARNING: 1>
    """

    warn: float
    crit: float

    def state(self, seconds: float) -> State:
        """Judge a delay."""
        if seconds >= self.crit:
            return State.CRITICAL
        return State.WARNING if seconds >= self.warn else State.OK


def judge(
    readings: Readings,
    look: Callable[[Iterable[str]], Queues],
    limits: Limits,
    look_at_outboxes: Callable[[], Mapping[str, Unpublished]] = dict,
) -> Verdict:
    """Judge the platform.

    :param readings: the database.
    :param look: asks the broker; it gets the names of the queues that workers consume.
    :param limits: from when on something is late.
    :param look_at_outboxes: tells what waits in each outbox.
    """
    reported = readings.reported()
    served = consumers(reported)
    queues, outboxes = look(served), look_at_outboxes()
    found = _of_waiting(readings, queues, outboxes, served, limits)
    for pause in PAUSES:
        if not found:
            break
        time.sleep(pause)
        queues, outboxes = look(served), look_at_outboxes()
        again = _of_waiting(readings, queues, outboxes, served, limits)
        found = {name: problem for name, problem in again.items() if name in found}
    lag, lost, rejected, missed = readings.lag(), readings.lost(), readings.rejected(), silent(reported)
    problems = [
        *found.values(),
        *_of_rows(lost, rejected, missed),
        *_of_dead_letters(queues),
        *_of_kept(outboxes),
    ]
    alive = sum(worker.standing == 'alive' for worker in reported)
    numbers = {
        **({} if lag is None else {'lag': f'{lag:.0f}s;{limits.warn:g};{limits.crit:g}'}),
        **({} if queues.platform is None else {'platform queue': f'{_all(queues.platform)}'}),
        **{f'queue {name}': f'{depth.waiting}' for name, depth in queues.work.items()},
        **{f'consumers {name}': f'{_consumers(name, depth, served)}' for name, depth in queues.work.items()},
        **{
            f'outbox {name}': f'{outbox.oldest:.0f}s;{limits.warn:g};{limits.crit:g}'
            for name, outbox in outboxes.items()
        },
        **{f'kept {name}': f'{outbox.kept}' for name, outbox in outboxes.items()},
        'workers': f'{alive}',
        'silent': f'{len(missed)}',
        'lost': f'{lost}',
        'rejected': f'{rejected}',
    }
    return Verdict(tuple(problems), _summary(lag, alive, queues, served, outboxes), numbers)


def _of_waiting(
    readings: Readings, queues: Queues, outboxes: Mapping[str, Unpublished], served: Counter[str], limits: Limits
) -> dict[str, Problem]:
    problems = {'lag': _of_lag(readings, queues.platform, limits), '': _of_platform(readings, queues.platform, limits)}
    for name, depth in queues.work.items():
        if depth.waiting:
            problems[f'queue {name}'] = _of_work(readings, name, depth, served, limits)
    for name, outbox in outboxes.items():
        problems[f'outbox {name}'] = _of_outbox(name, outbox, limits)
    return {name: problem for name, problem in problems.items() if problem is not None}


def _of_lag(readings: Readings, platform: Depth | None, limits: Limits) -> Problem | None:
    lag = readings.lag()
    if lag is None:
        waits = 0 if platform is None else _all(platform)
        said = f'{_counted(waits, "message")} in the platform queue, and' if waits else ''
        text = f'{said} no monitor of this version has ever read the platform queue to its end'.strip()
        return Problem(State.CRITICAL if waits else State.UNKNOWN, text)
    state = limits.state(lag)
    if not state:
        return None
    why = '' if readings.has_monitor() else ': every monitor has ended'
    return Problem(state, f'no monitor has read the platform queue to its end for {_written(lag)}{why}')


def _of_platform(readings: Readings, platform: Depth | None, limits: Limits) -> Problem | None:
    """Judge the queue by itself: the monitor may read another one."""
    if platform is None:
        return Problem(State.UNKNOWN, 'the broker does not tell what is in the platform queue')
    newest = readings.newest()
    state = State.CRITICAL if newest is None else limits.state(newest)
    if not state or not _all(platform):
        return None
    since = 'was ever stored' if newest is None else f'was stored for {_written(newest)}'
    return Problem(state, f'{_counted(_all(platform), "message")} in the platform queue, and nothing {since}')


def _of_work(readings: Readings, name: str, depth: Depth, served: Counter[str], limits: Limits) -> Problem | None:
    waits = f'{_counted(depth.waiting, "message")} waiting in {name}, and'
    key = key_of(name)
    if not _consumers(name, depth, served):
        if depth.consumers is not None:
            return Problem(State.CRITICAL, f'{waits} nobody consumes it')
        # A worker may be told not to report.
        if limits.state(readings.idle(key)):
            return Problem(State.CRITICAL, f'{waits} no worker says that it consumes it')
    stuck = readings.stuck(key)
    state = State.OK if stuck is None else limits.state(stuck)
    return Problem(state, f'{waits} no task of it has started for {_written(stuck or 0)}') if state else None


def _of_outbox(name: str, outbox: Unpublished, limits: Limits) -> Problem | None:
    state = limits.state(outbox.oldest)
    if not outbox.waiting or not state:
        return None
    waits = f'{_counted(outbox.waiting, "message")} waiting in the outbox of {name}'
    return Problem(state, f'{waits}, and no relay has published the first of them for {_written(outbox.oldest)}')


def _of_rows(lost: int, rejected: int, missed: list[ReportedWorker]) -> Iterator[Problem]:
    if lost:
        yield Problem(State.WARNING, f'{_counted(lost, "task")} lost while running (toolbox lost)')
    if rejected:
        yield Problem(State.WARNING, f'{_counted(rejected, "message")} rejected (toolbox rejected)')
    if missed:
        names = _some(sorted(worker.name for worker in missed))
        yield Problem(State.WARNING, f'{_counted(len(missed), "worker")} silent: {names}')


def _of_dead_letters(queues: Queues) -> Iterator[Problem]:
    for found in queues.dead_letters:
        yield Problem(
            State.WARNING, f'{_counted(found.messages, "dead letter")} of {found.queue} in {found.dead_letter_queue}'
        )


def _of_kept(outboxes: Mapping[str, Unpublished]) -> Iterator[Problem]:
    for name, outbox in outboxes.items():
        if outbox.kept:
            text = f'{_counted(outbox.kept, "message")} kept aside in the outbox of {name}: the reason is in the table'
            yield Problem(State.WARNING, text)


def _summary(
    lag: float | None, alive: int, queues: Queues, served: Counter[str], outboxes: Mapping[str, Unpublished]
) -> str:
    of_queues = _some(
        [
            f'{name} {depth.waiting} ({_counted(_consumers(name, depth, served), "consumer")})'
            for name, depth in queues.work.items()
        ]
        + [f'outbox of {name} {outbox.waiting}' for name, outbox in outboxes.items()]
    )
    return f'lag {_written(lag or 0)}, {_counted(alive, "worker")}, nothing lost, rejected or silent; {of_queues}'


def _consumers(name: str, depth: Depth, served: Counter[str]) -> int:
    return served[name] if depth.consumers is None else depth.consumers


def _all(depth: Depth) -> int:
    return depth.waiting + depth.received + depth.delayed


def _counted(number: int, what: str) -> str:
    return f'{number} {what}' if number == 1 else f'{number} {what}s'


def _written(seconds: float) -> str:
    return written(timedelta(seconds=seconds))


def _some(texts: list[str]) -> str:
    more = len(texts) - _NAMED
    return ', '.join([*texts[:_NAMED], *([f'{more} more'] if more > 0 else [])])
