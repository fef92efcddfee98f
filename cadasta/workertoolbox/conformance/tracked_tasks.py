"""Rule 4: each task is tracked."""

from collections.abc import Iterator

from celery.exceptions import QueueNotFound

from ..rehearsal.observing import Observations
from ..rehearsal.route_errors import RouteError
from ..settings.credentials import masked
from .delivery import misdelivery
from .rule import Verdict, Violation


def judge(seen: Observations) -> Iterator[Verdict]:
    if seen.worker is not None:
        yield Verdict({'app': 'the tasks of a worker'}, _no_tasks(seen))
    for name, attempt in seen.tasks.items():
        yield Verdict({'task': name}, _with_advice(misdelivery(seen, f'task {name!r}', attempt)))
        for how, message in seen.elsewhere[name].items():
            violation = misdelivery(seen, f'task {name!r}, {how}', message.attempt, message.queue)
            yield Verdict({'task': name, 'message': how}, violation)
    for name, attempt in seen.beat.items():
        yield Verdict({'beat_schedule': name}, misdelivery(seen, f'entry {name!r} of setting beat_schedule', attempt))
    yield Verdict({'thread': 'new'}, _stray(seen))


def note(seen: Observations) -> str:
    """Name the queues that were not judged: those that methods of the app, or routes with real arguments, choose."""
    return ' '.join(filter(None, (_not_called(seen), _not_routed(seen))))


def _not_called(seen: Observations) -> str:
    if not seen.not_called:
        return ''
    methods = '; '.join(f'{method}{_tasks("of", tasks)}' for method, tasks in seen.not_called.items())
    return (
        "These methods were not called, because they could leave something behind, such as a lock. Celery's own "
        f'methods published the tasks, so the queues that yours choose were not judged: {methods}.'
    )


def _not_routed(seen: Observations) -> str:
    names = [name for name, attempt in seen.tasks.items() if attempt.route_error is RouteError.MADE_UP_ARGUMENTS]
    if not names:
        return ''
    error = seen.tasks[names[0]].error
    return (
        'The routes of the app cannot use arguments that are made up, and raised '
        f'{masked(f"{type(error).__name__}: {error}")}. So it was not judged which queues they choose'
        f'{_tasks("for", names)}.'
    )


def _tasks(preposition: str, names: list[str]) -> str:
    if not names:
        return ''
    more = f' and {len(names) - 1} more' if len(names) > 1 else ''
    return f' {preposition} task {names[0]!r}{more}'


def _no_tasks(seen: Observations) -> Violation | None:
    if seen.own_tasks:
        return None
    return Violation(
        'a worker knows the tasks that it runs',
        'the tasks of a worker',
        'no task but those of Celery: a worker would discard each message as that of an unregistered task',
        'Name the task modules in imports of Config or in include of the app, or call app.autodiscover_tasks() with '
        'their packages. For a codebase that only sends tasks, give is_worker=False, or --producer.',
    )


def _stray(seen: Observations) -> Violation | None:
    if seen.stray is None:
        return None
    return Violation(
        'a task that names no app, such as a shared_task, is sent by this app',
        'a new thread',
        f'it is sent by app {seen.stray}, which has no Config',
        'Call app.set_default() where this app is made. If other code calls set_default() of an app without a Config, '
        'or Django takes the first app that is made as the default, leave that out. If this app is not meant for such '
        'tasks, make it with Celery(set_as_current=False).',
    )


def _with_advice(violation: Violation | None) -> Violation | None:
    if violation is None or not isinstance(violation.seen, QueueNotFound):
        return violation
    advice = 'Where each call of it names a queue, give its name as called_with_queue, or --called-with-queue.'
    return Violation(violation.expected, violation.where, violation.seen, f'{violation.change} {advice}')
