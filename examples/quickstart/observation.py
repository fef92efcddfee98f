"""Finds out what became of each task, from the task monitor's tables and the workers' logs."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from celery import Celery, states
from kombu import Connection

from cadasta.workertoolbox.tracked import TrackedTask, TrackedTasks

from .processes import Process

_RECEIVED = re.compile(r'Task (?P<name>\S+)\[(?P<id>\S+)\] received')


@dataclass
class Tracked:
    """A task, and what is known about it."""

    id: str
    name: str
    #: whether the monitor found a message of it in the platform queue
    is_tracked: bool
    #: how many of its messages each work queue held
    on_work_queues: Counter[str] = field(default_factory=Counter)
    state: str = states.PENDING
    result: str = ''

    @property
    def keeps_result(self) -> bool:
        """Whether Celery stores a result for it. Celery stores none for tasks of its own."""
        return not self.name.startswith('celery.')

    @property
    def is_done(self) -> bool:
        """Whether its final state is stored."""
        return self.state in states.READY_STATES


class Observation:
    """Follows workflows on queues that nobody else uses.

    The task monitor has stored each message that the platform queue held. Each worker consumes one work queue, and logs
    each message that it receives. States and results come from the result table.

    :param tracked: the database
    :param workers: the worker of each work queue
    :param scheduled: the id of a task of each workflow, by the workflow's name
    """

    def __init__(self, tracked: TrackedTasks, workers: Mapping[str, Process], scheduled: Mapping[str, str]) -> None:
        self.tracked = tracked
        self.workers = workers
        self.scheduled = scheduled
        self.workflows: dict[str, list[Tracked]] = {}
        #: the tasks that workers received and that belong to no workflow
        self.others: list[Tracked] = []

    def look(self) -> None:
        """Read the tables and the logs again."""
        received: dict[str, Tracked] = {}
        for queue, worker in self.workers.items():
            for match in _RECEIVED.finditer(worker.output()):
                task = received.setdefault(match['id'], Tracked(match['id'], match['name'], is_tracked=False))
                task.on_work_queues[queue] += 1
        self.workflows = {
            name: [_tracked(row, received) for row in self.tracked.workflow(task_id)]
            for name, task_id in self.scheduled.items()
        }
        known = {task.id for tasks in self.workflows.values() for task in tasks}
        self.others = [task for task_id, task in received.items() if task_id not in known]

    @property
    def tasks(self) -> list[Tracked]:
        """All tasks."""
        return [*self.others, *(task for tasks in self.workflows.values() for task in tasks)]


def depths(app: Celery, connection: Connection) -> dict[str, int]:
    """How many messages each queue of an app holds, by the broker's own count; 0 for a queue that does not exist."""
    # Transports other than AMQP answer a declaration with the count, and some cannot tell whether a queue exists.
    is_amqp = connection.transport.driver_type == 'amqp'
    found = dict.fromkeys(sorted(app.amqp.queues), 0)
    for name in found:
        with suppress(*connection.channel_errors):
            found[name] = connection.channel().queue_declare(name, passive=is_amqp).message_count
    return found


def _tracked(row: TrackedTask, received: Mapping[str, Tracked]) -> Tracked:
    task = received.get(row.task_id)
    return Tracked(
        row.task_id,
        row.name or '',
        row.first_seen is not None,
        task.on_work_queues if task else Counter(),
        row.status,
        _summary(row.result),
    )


def _summary(result: bytes | None) -> str:
    if not result:
        return ''
    value = json.loads(result)
    if isinstance(value, dict) and 'exc_type' in value:
        return f'{value["exc_type"]}: {" ".join(value["exc_message"])}'
    return value if isinstance(value, str) else json.dumps(value)
