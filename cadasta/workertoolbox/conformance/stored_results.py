"""Rule 6: results and starts are stored in a database."""

from collections.abc import Iterator

from ..rehearsal.observing import Observations, ResultOptions
from ..seams.celery_results import is_database_backend
from .rule import Verdict, Violation


def judge(seen: Observations) -> Iterator[Verdict]:
    yield Verdict({'setting': 'result_backend'}, _backend(seen))
    for name, options in seen.result_options.items():
        yield Verdict({'task': name}, _task(name, options))


def note(seen: Observations) -> str:
    """Name what ignores its result: without a row in the table of results, no run can claim a task."""
    ignoring = [*_ignoring_tasks(seen), *_ignoring_entries(seen)] if seen.claims else []
    if not ignoring:
        return ''
    return (
        f'No result of these tasks is stored, so they may run twice: {", ".join(ignoring)}. Take ignore_result out of '
        'a task, and task_ignore_result out of the configuration, where it must run once.'
    )


def _ignoring_tasks(seen: Observations) -> Iterator[str]:
    for name, options in seen.result_options.items():
        if options.ignore_result and not options.is_celerys:
            yield f'task {name!r}'


def _ignoring_entries(seen: Observations) -> Iterator[str]:
    """Name the entries of beat that ignore the result of a task which does not ignore it by itself."""
    passed_over = {name for name, options in seen.result_options.items() if options.ignore_result or options.is_celerys}
    for name, attempt in seen.beat.items():
        tasks = {sent.headers['task'] for sent in attempt.sent if sent.headers.get('ignore_result')}
        if tasks - passed_over:
            yield f'entry {name!r} of setting beat_schedule'


_CHANGE = (
    'Leave result_backend to Config and give RESULT_DB_HOST and so on, or set it to a '
    "'db+postgresql://…' URL. Look for CELERY_RESULT_BACKEND in the environment as well."
)
_OF_DJANGO = (
    "django-celery-results stores results in tables of its own, in Django's database: the platform does not read them, "
    'and shows each task as PENDING. No worker claims a task there, so the copies of a message run, too, and '
    f'`toolbox cancel` has no effect. {_CHANGE}'
)


def _backend(seen: Observations) -> Violation | None:
    if is_database_backend(seen.backend):
        return None
    is_of_django = getattr(seen.backend, '__module__', '').startswith('django_celery_results.')
    return Violation(
        'results go to a database backend',
        'setting result_backend',
        seen.backend,
        _OF_DJANGO if is_of_django else _CHANGE,
    )


def _task(name: str, options: ResultOptions) -> Violation | None:
    where = f'task {name!r}'
    if not options.track_started:
        return Violation(
            'the start of every task is stored',
            where,
            'track_started is off',
            'Take track_started out of the task, and leave task_track_started to Config.',
        )
    if options.own_backend is not None and not is_database_backend(type(options.own_backend)):
        return Violation(
            'the result of every task is stored in a database',
            where,
            f'it has a backend of its own: {options.own_backend!r}',
            "Take the option backend out of the task: it uses the app's then.",
        )
    return None
