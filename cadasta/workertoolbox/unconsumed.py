"""The platform queue as a worker has it: nobody can tell the worker to consume it while it runs.

``celery control add_consumer`` and code of the app may name any queue that the app knows.
"""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from celery import Celery
from kombu import Queue

from .seams.celery_control import wrap_command

logger = logging.getLogger(__name__)

_REFUSAL = (
    'This worker does not consume %r, the platform queue. It holds a copy of every message for the task monitor, and a '
    'worker would hide these tasks from the platform.'
)


class Unconsumed(Queue):
    """A queue that a consumer declares, and from which it takes nothing. It takes the parameters of `kombu.Queue`.

    >>> from kombu import Connection
    >>> queue = Unconsumed('unconsumed')
    >>> with Connection('memory://') as connection, connection.Consumer([queue], callbacks=[print]):
    ...     connection.Producer().publish('a task', routing_key='unconsumed')
    ...     queue(connection.default_channel).get().payload
    'a task'
    """

    def consume(self, *args: Any, **kwargs: Any) -> None:
        """Say that the queue is not consumed. An error would end the worker, or have it connect again for ever."""
        logger.error(
            f'{_REFUSAL} Look for what selects it, such as select_add or add_task_queue in the code of the app, and '
            'leave it out.',
            self.name,
        )


def leave_unconsumed(app: Celery, name: str) -> None:
    """Keep the workers of an app from consuming a queue, whoever tells them to.

    :param app: the app.
    :param name: the name of the queue.

    >>> app = Celery(broker='memory://')
    >>> leave_unconsumed(app, 'celery')
    >>> type(app.amqp.queues['celery']).__name__
    'Unconsumed'
    """
    app.amqp.queues.add(Unconsumed(**app.amqp.queues[name].as_dict()))
    wrap_command('add_consumer', _refusing)


def _refusing(add_consumer: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(add_consumer)
    def refuse(state: Any, queue: str, *args: Any, **kwargs: Any) -> Any:
        known = state.app.amqp.queues
        if queue in known and isinstance(known[queue], Unconsumed):
            logger.error(f'{_REFUSAL} "celery control add_consumer" changed nothing.', queue)
            return {'error': _REFUSAL % queue}
        return add_consumer(state, queue, *args, **kwargs)

    return refuse
