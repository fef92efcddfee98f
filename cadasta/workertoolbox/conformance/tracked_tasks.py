"""Rule 4: each task is tracked."""

from collections.abc import Iterator

from ..rehearsal.observing import Observations
from .delivery import misdelivery
from .rule import Verdict, Violation


def judge(seen: Observations) -> Iterator[Verdict]:
    for name, attempt in seen.tasks.items():
        yield Verdict({'task': name}, misdelivery(seen, f'task {name!r}', attempt))
    for name, attempt in seen.beat.items():
        yield Verdict({'beat_schedule': name}, misdelivery(seen, f'entry {name!r} of setting beat_schedule', attempt))
    yield Verdict({'thread': 'new'}, _stray(seen))


def _stray(seen: Observations) -> Violation | None:
    if seen.stray is None:
        return None
    return Violation(
        'a task that names no app, such as a shared_task, is sent by this app',
        'a new thread',
        f'it is sent by app {seen.stray}, which has no Config',
        'Call app.set_default() where this app is made. If other code calls set_default() or set_current() of an app '
        'without a Config, or Django takes the first app that is made as the default, leave that out. If this app is '
        'not meant for such tasks, make it with Celery(set_as_current=False).',
    )
