"""Rule 7: tasks are sent in a form that the platform can read."""

from collections.abc import Iterator

from ..rehearsal.observing import Attempt, Observations
from .delivery import NOT_SERIALIZED
from .rule import Verdict, Violation

_READABLE = ('application/json',)
_COMPRESSIONS = (None, 'application/x-gzip', 'application/x-bz2', 'application/x-lzma')
_CHANGE = (
    'Take the option serializer out of the task or the call, and task_serializer out of the configuration, or '
    "set them to 'json'."
)


def judge(seen: Observations) -> Iterator[Verdict]:
    yield Verdict({'setting': 'task_always_eager'}, _eager(seen))
    published = {f'task {name!r}': attempt for name, attempt in seen.tasks.items()}
    published |= {f'entry {name!r} of setting beat_schedule': entry for name, entry in seen.beat.items()}
    for where, attempt in published.items():
        yield Verdict({'msg': where}, _unreadable(where, attempt))


def _eager(seen: Observations) -> Violation | None:
    if not seen.eager:
        return None
    return Violation(
        'tasks are really sent',
        'setting task_always_eager',
        seen.eager,
        'Take task_always_eager out of the configuration. Tests that want to call a task can call task.apply().',
    )


def _unreadable(where: str, attempt: Attempt) -> Violation | None:
    expected = 'messages have a serializer that the platform can read without unpickling'
    if isinstance(attempt.error, NOT_SERIALIZED):
        return Violation(expected, where, attempt.error, _CHANGE)
    for sent in attempt.sent:
        if sent.content_type not in _READABLE:
            return Violation(expected, where, f'a message of content type {sent.content_type!r}', _CHANGE)
        if sent.headers.get('compression') not in _COMPRESSIONS:
            return Violation(
                expected,
                where,
                f'a message that is compressed as {sent.headers["compression"]!r}',
                'Take the option compression out of the task or the call, and task_compression out of the '
                "configuration, or set them to 'gzip', 'bzip2' or 'lzma'.",
            )
    return None
