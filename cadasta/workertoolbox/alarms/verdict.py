"""A verdict, in one line, as Nagios and its kin read it."""

from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Any, NamedTuple

from ..terminal.safe_text import harmless


class State(IntEnum):
    """The state of the platform. The number is the exit code of a plugin."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


# Nobody who is called for what is critical wants to hear first that something else is unknown.
_GRAVITY = (State.OK, State.UNKNOWN, State.WARNING, State.CRITICAL)


class Problem(NamedTuple):
    """Something that is wrong.

    :param state: how bad it is.
    :param text: what it is.
    """

    state: State
    text: str


class Verdict(NamedTuple):
    """The problems of the platform, and the numbers that were found.

    :param problems: what is wrong.
    :param summary: what was found, in words.
    :param numbers: what was found, in numbers: by label, each with its unit and its limits as Nagios writes them.

    >>> print(Verdict((), 'lag 3 s', {'lag': '3s;60;600'}).line)
    OK: lag 3 s | 'lag'=3s;60;600
    """

    problems: tuple[Problem, ...]
    summary: str
    numbers: Mapping[str, str]

    @property
    def state(self) -> State:
        """The worst of all problems."""
        return max((problem.state for problem in self.problems), key=_GRAVITY.index, default=State.OK)

    @property
    def line(self) -> str:
        """The line for Nagios: the state, the worst problem first, and the numbers."""
        found = [problem.text for problem in self._sorted()] or [self.summary]
        numbers = ' '.join(f"'{_plain(label)}'={number}" for label, number in self.numbers.items())
        return f'{self.state.name}: {_plain("; ".join(found))} | {numbers}'.removesuffix(' | ')

    @property
    def document(self) -> dict[str, Any]:
        """The same as JSON."""
        return {
            'state': self.state.name,
            'problems': [{'state': problem.state.name, 'text': problem.text} for problem in self._sorted()],
            'summary': self.summary,
            'numbers': {label: float(number.partition(';')[0].rstrip('s')) for label, number in self.numbers.items()},
        }

    def _sorted(self) -> Iterable[Problem]:
        return sorted(self.problems, key=lambda problem: -_GRAVITY.index(problem.state))


def _plain(text: str) -> str:
    """Leave out what Nagios takes for the end of a text or of a label. The names of queues may have anything."""
    return harmless(text).replace('|', '/').replace("'", '"').replace('=', '-')
