"""The findings of a check."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ..settings.credentials import masked


class Problem(NamedTuple):
    """Something that is not as it must be.

    :param where: the thing that is wrong, such as a queue or a role.
    :param seen: the observation of the check.
    :param change: the change that mends it.
    """

    where: str
    seen: str
    change: str


class Outcome(NamedTuple):
    """The result of one step of a check.

    :param problems: the problems that the step found.
    :param skipped: the reason why the check skipped the step.
    :param note: a remark that helps the reader when the step found no problem.
    :param is_noteworthy: whether the note is more than that: nothing is wrong, but the reader should know it.
    """

    problems: tuple[Problem, ...] = ()
    skipped: str = ''
    note: str = ''
    is_noteworthy: bool = False


@dataclass(frozen=True)
class Finding:
    """One step of a check, and its outcome.

    :param concern: the part that was checked: ``'conformance'``, ``'broker'``, ``'tasks'`` or ``'results'``.
    :param check: the demand on that part.
    :param outcome: the outcome.

    >>> Finding('broker', 'it can be reached', Outcome()).state
    'passed'
    """

    concern: str
    check: str
    outcome: Outcome

    @property
    def state(self) -> str:
        """``'passed'``, ``'failed'``, ``'skipped'`` or ``'noted'``."""
        if self.outcome.problems:
            return 'failed'
        if self.outcome.skipped:
            return 'skipped'
        return 'noted' if self.outcome.is_noteworthy else 'passed'


def in_order(
    concern: str,
    steps: Mapping[str, Callable[[], Outcome]],
    where: str,
    change: str,
) -> Iterator[Finding]:
    """Take the steps of a check in order. If a step raises an error, the check skips all steps after it.

    :param concern: the part that all steps check.
    :param steps: the functions that take the steps, by the demand that each of them checks.
    :param where: the place that a problem names if a step raises an error.
    :param change: the change that it names.
    :returns: a finding for each step.

    >>> findings = list(in_order('sums', {'one': lambda: Outcome(note=f'{1 / 0}'), 'two': Outcome}, 'here', 'Mend it.'))
    >>> findings[0].outcome.problems
    (Problem(where='here', seen='ZeroDivisionError: division by zero', change='Mend it.'),)
    >>> findings[1].outcome.skipped
    "because of the failure of 'one'"
    """
    skipped = ''
    for check, look in steps.items():
        try:
            outcome = Outcome(skipped=skipped) if skipped else look()
        except Exception as error:
            skipped = f'because of the failure of {check!r}'
            outcome = Outcome((Problem(where, shown(error), change),))
        yield Finding(concern, check, outcome)


def shown(error: BaseException) -> str:
    """Describe an error in a line, without credentials. An error of SQLAlchemy is described by the error of its driver.

    >>> shown(ConnectionRefusedError('amqp://ada:hush@localhost refused'))
    'ConnectionRefusedError: amqp://********@localhost refused'
    """
    error = getattr(error, 'orig', None) or error
    return str(masked(' '.join(f'{type(error).__name__}: {error}'.split())))
