"""Plan the faults of a storm, and their times, from a seed."""

from __future__ import annotations

import random
from typing import NamedTuple

#: The seconds by which each statement takes longer on a slow disk.
SLOWNESS = 0.05
#: The seconds for which a worker vouches for what it runs.
LEASE = 6
#: The most seconds for which a broker is away, beyond those in which it starts.
AWAY = 5
#: The seconds for which a worker hangs: its lease ends, and the broker gives its messages to others.
HANGING = 14

DATABASE = ('cut_database', 'restart_postgres', 'slow_disk')
RESTARTS = ('restart_worker', 'restart_monitor', 'restart_relay')

KILLS = ('kill_worker', 'kill_child', 'kill_monitor', 'kill_relay', 'kill_producer')
ALL = ('cut_broker', 'purge_queue', 'hang_worker', *KILLS, *RESTARTS, *DATABASE)
#: The faults of a storm on each broker.
FAULTS = {
    'redis': (*ALL, 'restart_broker'),
    'amqp': (*ALL, 'restart_broker'),
    # moto has its queues in its memory, and a restart of it would lose all messages, which Amazon SQS does not do. So
    # this storm refuses connections to it for a while, which is the nearest thing to an outage of Amazon SQS.
    'sqs': (*ALL, 'refuse_connections'),
    # This broker has no connections to cut. A process that is killed loses the messages that it had received: kombu
    # removes a file when it reads it, and keeps acknowledgements in the memory of the consumer alone. The storm spares
    # the processes of a pool as well: on a transport without an event loop they take their tasks from one pipe in turn,
    # under a lock. A process that is killed while it has the lock stops all others for ever.
    'filesystem': (*RESTARTS, *DATABASE),
    # Everything is in one process, and a kill would lose all of it.
    'memory': ('close_connections', 'restart_monitor', 'restart_relay', *DATABASE),
}


class Fault(NamedTuple):
    """A fault.

    :param at: seconds since the beginning
    :param name: the method of the platform that makes it happen
    :param chance: the random numbers for its other choices
    """

    at: float
    name: str
    chance: random.Random


def plan(seed: int, names: tuple[str, ...], seconds: float, interval: float) -> list[Fault]:
    """Plan the faults of a storm: each kind as often as the others, in random order.

    :param seed: the same seed gives the same plan
    :param names: the kinds
    :param seconds: the length of the storm
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
