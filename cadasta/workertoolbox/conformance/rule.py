"""A rule of the architecture, and what it says of an app."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from celery.exceptions import QueueNotFound

from ..rehearsal.observing import Observations
from ..settings.credentials import masked


class Violation(NamedTuple):
    """Something by which an app breaks a rule.

    :param expected: what should be so.
    :param where: the part of the app that breaks it.
    :param seen: what was seen there instead: a text, another value, or the error that was raised.
    :param change: what to change, in whole sentences.
    """

    expected: str
    where: str
    seen: Any
    change: str

    @property
    def seen_text(self) -> str:
        """What was seen, as text without credentials.

        >>> Violation('tasks are sent', 'task', ConnectionError('redis://:hush@host is away'), 'Mend it.').seen_text
        'ConnectionError: redis://********@host is away'
        """
        if isinstance(self.seen, QueueNotFound):
            # Its str() would put the text in quotes, because it is a KeyError.
            return f'QueueNotFound: {self.seen.args[0]}'
        if isinstance(self.seen, BaseException):
            return str(masked(f'{type(self.seen).__name__}: {self.seen}'))
        return str(masked(self.seen))


class Verdict(NamedTuple):
    """The verdict of a rule on one part of an app.

    :param part: the part, as keyword arguments of `unittest.TestCase.subTest`; empty for the app as a whole.
    :param violation: how it breaks the rule; `None` where it keeps the rule.
    """

    part: Mapping[str, str]
    violation: Violation | None


def _never(seen: Observations) -> str:
    return ''


@dataclass(frozen=True)
class Rule:
    """A rule of the architecture.

    :param number: its number, by which the documents refer to it.
    :param title: what it demands, in a few words.
    :param judge: gives the verdict on each part of an app that was observed.
    :param reason_to_skip: tells why an app cannot break the rule; nothing where it can.
    """

    number: int
    title: str
    judge: Callable[[Observations], Iterator[Verdict]]
    reason_to_skip: Callable[[Observations], str] = _never
