"""Read in Redis which messages wait and which consumers have received, without taking any."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from ..seams.kombu_virtual import waiting
from ..seams.redis import received_ids, waiting_ids
from .answers import Held

#: The ids of the messages are not read where a routing key has more of them.
MOST = 100_000


def look(channel: Any, queues: Mapping[str, Iterable[str]]) -> dict[str, Held]:
    """Tell what Redis has of routing keys.

    :param channel: a channel of the Redis transport.
    :param queues: the names of the queues that serve each routing key.
    :returns: the answer for each routing key.
    """
    counts = {key: sum(waiting(channel, queue) for queue in names) for key, names in queues.items()}
    ids = {
        key: {task_id for queue in names for task_id in waiting_ids(channel, queue, MOST)}
        for key, names in queues.items()
        if counts[key] <= MOST
    }
    # kombu notes here a message that it has taken off its list, so this comes second.
    received: dict[str, list[str]] = defaultdict(list)
    for routing_key, task_id in received_ids(channel):
        received[routing_key].append(task_id)
    found = {}
    for key, names in queues.items():
        # A copy that comes back goes to its queue by name.
        in_hands = [task_id for name in {key, *names} for task_id in received[name]]
        known = frozenset(ids[key].union(in_hands)) if key in ids else None
        found[key] = Held(counts[key] + len(in_hands), ids=known)
    return found
