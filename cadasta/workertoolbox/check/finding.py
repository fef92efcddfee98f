"""What a check finds."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ..settings.credentials import masked


class Problem(NamedTuple):
    """Something that is not as it must be.

    :param where: what it concerns.
    :param seen: what was seen there.
    :param change: what to change.
    """

    where: str
    seen: str
    change: str


class Outcome(NamedTuple):
    """What came of looking at one thing.

    :param problems: why it is not as it must be.
    :param skipped: why it could not be found out.
    :param note: what is worth to know when all is well.
    """

    problems: tuple[Problem, ...] = ()
    skipped: str = ''
    note: str = ''


@dataclass(frozen=True)
class Finding:
    """What was found out about one thing.

    :param concern: what it is about: ``'conformance'``, ``'broker'``, ``'tasks'`` or ``'results'``.
    :param check: what should be so.
    :param outcome: whether it is.

    >>> Finding('broker', 'it can be reached', Outcome()).state
    'passed'
    """

    concern: str
    check: str
    outcome: Outcome

    @property
    def state(self) -> str:
        """``'passed'``, ``'failed'`` or ``'skipped'``."""
        if self.outcome.problems:
            return 'failed'
        return 'skipped' if self.outcome.skipped else 'passed'


def in_order(
    concern: str,
    steps: Mapping[str, Callable[[], Outcome]],
    where: str,
    change: str,
) -> Iterator[Finding]:
    """Look at one thing after the other. Where looking at one raises an error, those after it are skipped.

    :param concern: what all of them are about.
    :param steps: how to look, by what should be so.
    :param where: where an error is said to be.
    :param change: what to change then.
    :returns: a finding for each.

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
    """Describe an error in a line, without credentials. Of what SQLAlchemy raises, the database's own words are enough.

    >>> shown(ConnectionRefusedError('amqp://ada:hush@localhost refused'))
    'ConnectionRefusedError: amqp://********@localhost refused'
    """
    error = getattr(error, 'orig', None) or error
    return str(masked(' '.join(f'{type(error).__name__}: {error}'.split())))
