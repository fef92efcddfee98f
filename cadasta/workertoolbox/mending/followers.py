"""Find the tasks that a failure took along: the rest of a chain, and the body of a chord.

Celery stores their failure, although nobody has sent them. They have to be released, or the task that is sent again
could not start them.
"""

from typing import Any, NamedTuple

from ..tracked.relations import mentioned


class Followers(NamedTuple):
    """The tasks and groups that come after a task.

    :param task_ids: the ids of the tasks that it, or one that follows it, is to send.
    :param group_ids: the groups that a watch of Celery's waits for, which then sends the body of a chord.
    """

    task_ids: frozenset[str]
    group_ids: frozenset[str]


def followers(group_id: str | None, options: Any) -> Followers:
    """Read from the row of a task which tasks come after it.

    :param group_id: its group.
    :param options: its options.

    >>> body = {'task': 'export.archive', 'options': {'task_id': '3'}}
    >>> followers('2', {'chord': body, 'callbacks': [body]})
    Followers(task_ids=frozenset({'3'}), group_ids=frozenset({'2'}))
    """
    found = set(mentioned([options.get('chain'), options.get('chord')]))
    groups = {value for name, value in found if name == 'group_id'} | ({group_id} if group_id else set())
    return Followers(frozenset(value for name, value in found if name == 'task_id'), frozenset(groups))
