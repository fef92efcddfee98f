"""Publish the reports of a worker to the platform queue alone, over a connection of their own."""

from typing import Any

from celery import Celery
from kombu import Producer
from kombu.transport import virtual

from ..architecture import FIFO
from ..seams.kombu_virtual import GROUP
from ..timeouts import connect_once
from .message import HEADER, VERSION, WorkerReport

#: RabbitMQ drops a report that no monitor has read after this time, in seconds. A later one says more.
EXPIRES = 3600
# A report need not survive a restart of RabbitMQ.
_TRANSIENT = 1


class Sender:
    """Publishes reports. It opens its connection for the first, and another after each error.

    :param app: an app that is configured by a `cadasta.workertoolbox.conf.Config`.

    >>> from cadasta.workertoolbox import Config
    >>> app = Celery('export', set_as_current=False)
    >>> app.config_from_object(Config(broker_url='memory://'))
    >>> sender = Sender(app)
    >>> sender.close()
    """

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._platform: str = app.conf.PLATFORM_QUEUE_NAME
        self._connection: Any = None

    def send(self, report: WorkerReport) -> None:
        """Publish a report.

        :raises Exception: what the client of the broker raises.
        """
        try:
            if self._connection is None:
                self._connect()
            self._publish(report)
        except Exception:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.release()

    def _connect(self) -> None:
        self._connection = self._app.connection_for_write()
        connect_once(self._connection)
        self._channel = self._connection.channel()
        self._is_virtual = isinstance(self._channel, virtual.Channel)

    def _publish(self, report: WorkerReport) -> None:
        # Such a channel gives a message without an exchange to the queue of that name. In RabbitMQ, the documented
        # rights of a worker allow the exchange of tasks alone, and no work queue is bound there with this routing key.
        exchange, key = ('', self._platform) if self._is_virtual else (self._exchange, f'worker.{report.boot}')
        is_grouped = self._is_virtual and self._platform.endswith(FIFO)
        Producer(self._channel, auto_declare=False).publish(
            report._asdict(),
            exchange=exchange,
            routing_key=key,
            serializer='json',
            headers={HEADER: VERSION},
            delivery_mode=_TRANSIENT,
            # The last report is worth keeping: without it, the worker would be silent for ever.
            expiration=None if report.is_last else EXPIRES,
            **({GROUP: report.boot} if is_grouped else {}),
        )

    @property
    def _exchange(self) -> str:
        name: str = self._app.conf.task_default_exchange
        return name
