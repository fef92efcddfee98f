"""What happens in a storm, and when: it follows from the seed."""
from __future__ import annotations

import random
from typing import NamedTuple

#: A disk on which each statement takes so much longer, in seconds.
SLOWNESS = 0.05

DATABASE = ('cut_database', 'restart_postgres', 'slow_disk')
#: All that a broker can bear which keeps what is not acknowledged.
ALL = ('cut_broker', 'kill_worker', 'kill_child', 'kill_monitor', 'restart_worker', 'restart_monitor', *DATABASE)


#: What a storm does to each broker.
FAULTS = {'redis': ALL, 'amqp': ALL, 'sqs': ALL}


class Fault(NamedTuple):
    """A fault.

    :param after: seconds since the one before
    :param name: the method of the platform that makes it happen
    :param chance: what else it depends on
    """

    after: float
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
    while sum(fault.after for fault in faults) < seconds:
        bag = bag or chance.sample(names, len(names))
        faults.append(Fault(chance.uniform(0.5, 1.5) * interval, bag.pop(), random.Random(chance.random())))
    return faults[:-1]
