"""What became of each task, as the queues and the result table tell it."""
import json
import re
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import sqlalchemy
from celery import Celery, states
from kombu import Connection

from .processes import Process

_RECEIVED = re.compile(r'Task (?P<name>\S+)\[(?P<id>\S+)\] received')
_RESULTS = sqlalchemy.text('SELECT task_id, status, result FROM celery_taskmeta WHERE task_id IN :ids').bindparams(
    sqlalchemy.bindparam('ids', expanding=True))


@dataclass
class Tracked:
    """A task, by what is known of it."""

    id: str
    name: str
    #: ids that it shares with other tasks of its workflow: its own, its root's, its parent's, its group's
    relatives: set[str] = field(default_factory=set)
    #: how many of its messages the platform queue held
    on_platform: int = 0
    #: how many of its messages each work queue held
    on_work_queues: Counter[str] = field(default_factory=Counter)
    state: str = ''
    result: str = ''

    @property
    def keeps_result(self) -> bool:
        """Whether Celery stores a result of it; of its own chores it stores none."""
        return not self.name.startswith('celery.')

    @property
    def is_done(self) -> bool:
        """Whether its final state is stored."""
        return self.state in states.READY_STATES


class Observation:
    """Follows all tasks of an app whose queues nobody else uses.

    The platform queue is read as a task monitor reads it. A worker consumes one work queue each, so the messages that
    it says it received are what that queue held. States and results are read from the result table.

    :param app: the app
    :param connection: a connection to its broker
    :param engine: the result database
    :param workers: the worker of each work queue
    """

    def __init__(
        self, app: Celery, connection: Connection, engine: sqlalchemy.Engine, workers: Mapping[str, Process],
    ) -> None:
        self.platform_queue = app.amqp.queues[app.conf.PLATFORM_QUEUE_NAME](connection.channel())
        self.engine = engine
        self.workers = workers
        self.tasks: dict[str, Tracked] = {}

    def look(self) -> None:
        """Read what is new."""
        self._read_platform_queue()
        self._read_logs()
        self._read_results()

    def _read_platform_queue(self) -> None:
        while message := self.platform_queue.get():
            headers = message.headers
            task = self._task(headers['id'], headers['task'])
            task.on_platform += 1
            task.relatives |= {headers['root_id'], headers['parent_id'], headers['group']} - {None}
            if task.name == 'celery.chord_unlock':
                group_id, body = message.payload[0]
                task.relatives |= {group_id, body['options']['task_id']}
            message.ack()

    def _read_logs(self) -> None:
        for task in self.tasks.values():
            task.on_work_queues.clear()
        for queue, worker in self.workers.items():
            for received in _RECEIVED.finditer(worker.output()):
                self._task(received['id'], received['name']).on_work_queues[queue] += 1

    def _read_results(self) -> None:
        # Whoever is the first to use the result backend makes the table.
        if not sqlalchemy.inspect(self.engine).has_table('celery_taskmeta'):
            return
        with self.engine.connect() as connection:
            for task_id, state, result in connection.execute(_RESULTS, {'ids': list(self.tasks)}):
                task = self.tasks[task_id]
                task.state = state
                task.result = _summary(result)

    def _task(self, task_id: str, name: str) -> Tracked:
        return self.tasks.setdefault(task_id, Tracked(task_id, name, {task_id}))

    def family(self, task_id: str) -> list[Tracked]:
        """The tasks of the workflow that a task belongs to."""
        relatives = {task_id}
        while True:
            family = [task for task in self.tasks.values() if task.relatives & relatives]
            known = relatives.union(*(task.relatives for task in family))
            if known == relatives:
                return family
            relatives = known


def depths(app: Celery, connection: Connection) -> dict[str, int]:
    """How many messages each queue of an app holds, by the broker's own count; 0 for a queue that does not exist."""
    # Transports other than AMQP answer a declaration with the count, and some cannot tell whether a queue exists.
    is_amqp = connection.transport.driver_type == 'amqp'
    found = dict.fromkeys(sorted(app.amqp.queues), 0)
    for name in found:
        with suppress(*connection.channel_errors):
            found[name] = connection.channel().queue_declare(name, passive=is_amqp).message_count
    return found


def _summary(result: bytes | None) -> str:
    value = json.loads(bytes(result or b'null'))
    if isinstance(value, dict) and 'exc_type' in value:
        return f'{value["exc_type"]}: {" ".join(value["exc_message"])}'
    return value if isinstance(value, str) else json.dumps(value)
