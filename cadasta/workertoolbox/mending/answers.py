"""The answers of a broker that is asked for the messages of a task."""

from typing import NamedTuple


class Held(NamedTuple):
    """The answer of a broker about the messages with one routing key.

    :param messages: how many it has; `None` where it does not tell.
    :param doubt: why it may have more.
    :param ids: the ids of the tasks whose messages these are; `None` where it does not tell.

    >>> Held(0).why_not_lost('1'), Held(2, ids=frozenset({'1', '2'})).why_not_lost('3')
    ('', '')
    >>> Held(2).why_not_lost('1')
    'its work queue has 2 messages, and one of them may be its own'
    """

    messages: int | None
    doubt: str = ''
    ids: frozenset[str] | None = None

    def why_not_lost(self, task_id: str) -> str:
        """Tell why the broker may have the message of a task; empty where it does not have it.

        :param task_id: the id of the task.
        """
        if self.ids is not None:
            return 'its message is in its work queue, or a worker has received it' if task_id in self.ids else ''
        if self.messages:
            return f'its work queue has {self.messages} messages, and one of them may be its own'
        return self.doubt

    def without(self, others: int) -> 'Held':
        """Leave out messages of other tasks, which are known to be there; only if there are no more than these.

        :param others: how many there are, at least.
        """
        return self._replace(messages=0) if self.messages is not None and self.messages <= others else self

    def and_then(self, later: 'Held') -> 'Held':
        """Join this answer with a later one. A task is lost if both say so."""
        if self.ids is not None and later.ids is not None:
            return Held(later.messages, ids=self.ids | later.ids)
        # The first answer with a message, or with a doubt, counts.
        return later if self.messages == 0 and not self.doubt else self
