"""A rule of the architecture, and its verdict on an app."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from celery.exceptions import QueueNotFound

from ..rehearsal.observing import Observations
from ..settings.credentials import masked


class Violation(NamedTuple):
    """A part of an app that breaks a rule.

    :param expected: the demand of the rule.
    :param where: the part of the app that breaks it.
    :param seen: the observation that breaks it: a text, another value, or the error that the app raised.
    :param change: the change that mends it, in whole sentences.
    """

    expected: str
    where: str
    seen: Any
    change: str

    @property
    def seen_text(self) -> str:
        """The observation that breaks the rule, as text without credentials.

        >>> Violation('tasks are sent', 'task', ConnectionError('redis://:hush@host is away'), 'Mend it.').seen_text
        'ConnectionError: redis://********@host is away'
        """
        if isinstance(self.seen, QueueNotFound):
            # Python puts the text of a KeyError in quotes, and QueueNotFound is one.
            return f'QueueNotFound: {self.seen.args[0]}'
        if isinstance(self.seen, BaseException):
            return str(masked(f'{type(self.seen).__name__}: {self.seen}'))
        return str(masked(self.seen))


class Verdict(NamedTuple):
    """The verdict of a rule on one part of an app.

    :param part: the part, as keyword arguments of `unittest.TestCase.subTest`. It is empty for the app as a whole.
    :param violation: the violation, or `None` if the part keeps the rule.
    """

    part: Mapping[str, str]
    violation: Violation | None


def _nothing(seen: Observations) -> str:
    return ''


@dataclass(frozen=True)
class Rule:
    """A rule of the architecture.

    :param number: its number, by which the documents refer to it.
    :param title: its demand, in a few words.
    :param judge: gives the verdict on each part of an observed app.
    :param reason_to_skip: tells why an app cannot break the rule. The text is empty if the app can break it.
    :param note: tells what does not break the rule, but what the makers of the app should know. The text is empty if
        there is nothing to tell.
    """

    number: int
    title: str
    judge: Callable[[Observations], Iterator[Verdict]]
    reason_to_skip: Callable[[Observations], str] = _nothing
    note: Callable[[Observations], str] = _nothing
