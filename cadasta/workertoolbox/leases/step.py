"""The bootstep of a worker's consumer that renews leases."""

from collections.abc import Callable
from typing import Any

from celery import bootsteps

from ..seams.celery_worker import blocks
from ..seams.kombu_held import take_one_at_a_time
from .redis import RedisLeases
from .renewal import Leases, Renewal


class Renew(bootsteps.StartStopStep):
    """Renews the leases of a worker's messages, from its first message until its last task has ended."""

    requires = ('celery.worker.consumer.tasks:Tasks',)

    def __init__(self, consumer: Any, **kwargs: Any) -> None:
        self._renewal: Renewal | None = None
        super().__init__(consumer, **kwargs)

    def start(self, consumer: Any) -> None:
        """Renew the leases of the current channel. A worker opens another after each loss of the connection."""
        self.shutdown(consumer)
        transport = consumer.connection.transport.driver_type
        kind = _kind(transport)
        if kind is not None:
            tasks = consumer.task_consumer
            if transport == 'sqs' and blocks(consumer.pool):
                take_one_at_a_time(tasks.channel)
            leases = kind(tasks.channel, tasks.queues)
            self._renewal = Renewal(leases, tasks.channel.visibility_timeout)
            self._renewal.start()

    def stop(self, consumer: Any) -> None:
        """Keep renewing, because a stopping worker still waits for its tasks."""

    def shutdown(self, consumer: Any) -> None:
        """Stop the renewals, because the channel is about to give back its messages."""
        renewal, self._renewal = self._renewal, None
        if renewal is not None:
            renewal.stop()


def _kind(transport: str) -> Callable[[Any, Any], Leases] | None:
    if transport == 'sqs':
        # Only an app on Amazon SQS has the client library that this module imports.
        from .sqs import SQSLeases

        return SQSLeases
    return RedisLeases if transport == 'redis' else None
