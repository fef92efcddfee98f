"""What happens in a storm, and when: it follows from the seed."""

from __future__ import annotations

import random
from typing import NamedTuple

#: A disk on which each statement takes so much longer, in seconds.
SLOWNESS = 0.05

DATABASE = ('cut_database', 'restart_postgres', 'slow_disk')
RESTARTS = ('restart_worker', 'restart_monitor')

ALL = ('cut_broker', 'kill_worker', 'kill_child', 'kill_monitor', *RESTARTS, *DATABASE)
#: What a storm does to each broker.
FAULTS = {
    'redis': ALL,
    'amqp': ALL,
    'sqs': ALL,
    # There is no connection that could be cut. And a process that is killed takes along what it had received: kombu
    # removes a file when it reads it, and acknowledgements are nothing but a list in the memory of the consumer. The
    # processes of a pool are spared as well: on a transport without an event loop they take their tasks from one pipe
    # in turn, under a lock, and one that is killed while it has the lock stops all others for ever.
    'filesystem': (*RESTARTS, *DATABASE),
    # All is in one process, and gone with it.
    'memory': ('close_connections', 'restart_monitor', *DATABASE),
}


class Fault(NamedTuple):
    """A fault.

    :param at: seconds since the beginning
    :param name: the method of the platform that makes it happen
    :param chance: what else it depends on
    """

    at: float
    name: str
    chance: random.Random


def plan(seed: int, names: tuple[str, ...], seconds: float, interval: float) -> list[Fault]:
    """Plan the faults of a storm: each kind as often as the others, in random order.

    :param seed: whatever follows from it is the same again
    :param names: the kinds
    :param seconds: how long the storm lasts
    :param interval: seconds from one fault to the next, on average
    """
    chance = random.Random(f'faults {seed}')
    faults: list[Fault] = []
    bag: list[str] = []
    at = chance.uniform(0, interval)
    while at < seconds:
        bag = bag or chance.sample(names, len(names))
        faults.append(Fault(at, bag.pop(), random.Random(chance.random())))
        at += chance.uniform(0.5, 1.5) * interval
    return faults
