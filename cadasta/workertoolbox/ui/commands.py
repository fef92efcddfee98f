"""Give the command that changes what a page shows. The pages themselves change nothing."""

import shlex
from typing import NamedTuple

from ..tracked.task import TrackedTask


class Command(NamedTuple):
    """A command.

    :param purpose: what it does, after "To".
    :param line: the line that somebody types.
    """

    purpose: str
    line: str


_RESENT = ('failed', 'lost', 'cancelled', 'expired')
_CANCELLED = ('waiting', 'queued', 'running', 'retrying')


def mending(task: TrackedTask) -> Command | None:
    """Give the command that sends a task again, or cancels it.

    :returns: the command; `None` where neither makes sense.

    >>> command = mending(TrackedTask('the 7th', 'PENDING', standing='queued'))
    >>> print('To', command.purpose, command.line, sep=': ')
    To: cancel it: celery -A PROJECT toolbox cancel 'the 7th'
    """
    # An id that begins with a dash would be an option.
    argument = f'{"-- " if task.task_id.startswith("-") else ""}{shlex.quote(task.task_id)}'
    if task.standing in _RESENT and task.first_seen is not None:
        return Command('send it again', f'celery -A PROJECT toolbox resend {argument}')
    if task.standing in _CANCELLED:
        return Command('cancel it', f'celery -A PROJECT toolbox cancel {argument}')
    return None
