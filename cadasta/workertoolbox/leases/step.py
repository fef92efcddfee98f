"""The step of a worker's consumer that renews leases."""

from collections.abc import Callable
from typing import Any

from celery import bootsteps

from ..seams.celery_worker import blocks
from ..seams.kombu_held import take_one_at_a_time
from .redis import RedisLeases
from .renewal import Leases, Renewal


class Renew(bootsteps.StartStopStep):
    """Renews the leases of what a worker holds, from its first message until all that it runs has ended."""

    requires = ('celery.worker.consumer.tasks:Tasks',)

    def __init__(self, consumer: Any, **kwargs: Any) -> None:
        self._renewal: Renewal | None = None
        super().__init__(consumer, **kwargs)

    def start(self, consumer: Any) -> None:
        """Renew what the channel at hand holds; there is another after each loss of the connection."""
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
        """Go on: a worker that was told to stop still waits for its tasks."""

    def shutdown(self, consumer: Any) -> None:
        """Renew no more: the channel gives back what it holds."""
        renewal, self._renewal = self._renewal, None
        if renewal is not None:
            renewal.stop()


def _kind(transport: str) -> Callable[[Any, Any], Leases] | None:
    if transport == 'sqs':
        # Its client library is there only where it is needed.
        from .sqs import SQSLeases

        return SQSLeases
    return RedisLeases if transport == 'redis' else None
