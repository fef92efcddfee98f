"""The messages that the monitor could not read: list them, forget them, and give them back to the platform queue."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from types import TracebackType
from typing import Any, NamedTuple, Self

import sqlalchemy as sa
from celery import Celery
from kombu import Exchange

from ..database.connection import Connected
from ..database.faults import refusing
from ..database.tables import rejected
from ..database.values import zoned
from ..errors import NotUsable, Unreadable
from ..settings.credentials import masked
from .message import from_envelope
from .sources import connection_of, errors_of

# A column with a whole message is not read for a list.
_SHOWN = [column for column in rejected.columns if column is not rejected.c.message]
_NO_BODY = 'its body, which has the arguments, is not kept, as by a monitor with --no-arguments'
# The rows of a list that are in memory at a time.
_PORTION = 1_000


class RejectedMessage(NamedTuple):
    """A row of ``celery_task_rejected``, without the message itself. Its times have a time zone."""

    digest: str
    reason: str
    task_id: str | None
    name: str | None
    routing_key: str | None
    first_seen: datetime
    last_seen: datetime


class RejectedMessages(Connected):
    """A connection to the database that keeps rejected messages, as a context manager.

    :param url: the database's URL, as SQLAlchemy spells it.
    :raises NotUsable: where the URL is not that of such a database, or the table is missing.
    :raises sqlalchemy.exc.DBAPIError: where the database cannot be reached; any method may raise it.

    >>> from cadasta.workertoolbox.database.upgrade import upgrade
    >>> upgrade('sqlite:///tasks.db')
    >>> with RejectedMessages('sqlite:///tasks.db') as messages:
    ...     list(messages.find())
    []
    """

    def _prepare(self) -> None:
        self._require('table', (rejected.name,))
        self._connection.rollback()

    def find(self, beginning: str = '') -> Iterator[RejectedMessage]:
        """Find messages, the one that came last first.

        :param beginning: the digest of the message, or how it begins.
        :raises NotUsable: where the role may not read the table.
        """
        query = sa.select(*_SHOWN).order_by(rejected.c.last_seen.desc(), rejected.c.digest)
        if beginning:
            query = query.where(rejected.c.digest.startswith(beginning, autoescape=True))
        with refusing(), self._connection.begin():
            for row in self._connection.execute(query, execution_options={'yield_per': _PORTION}):
                yield RejectedMessage(*map(zoned, row))

    def message(self, digest: str) -> bytes:
        """Read a message, as the monitor kept it.

        :returns: the message; it is empty where somebody has forgotten it.
        :raises NotUsable: where the role may not read the table.
        """
        with refusing(), self._connection.begin():
            query = sa.select(rejected.c.message).where(rejected.c.digest == digest)
            return bytes(self._connection.scalar(query) or b'')

    def forget(self, digest: str) -> None:
        """Delete a message.

        :raises NotUsable: where the role may not delete it.
        """
        with refusing(), self._connection.begin():
            self._connection.execute(sa.delete(rejected).where(rejected.c.digest == digest))


class PlatformQueue:
    """The platform queue, to which messages are published again, as a context manager.

    A message goes to the platform queue alone, with the routing key that it had. Its work queue had a copy of its own,
    and a worker may have run the task. So the message is not published to the exchange of tasks, but to another one, to
    which only the platform queue is bound.

    :param app: an app that is configured by `cadasta.workertoolbox.conf.Config`.
    :raises NotUsable: where the broker cannot be reached; any method may raise it.

    >>> from cadasta.workertoolbox import Config
    >>> app = Celery('export', set_as_current=False)
    >>> app.config_from_object(Config(broker_url='memory://'))
    >>> with PlatformQueue(app) as queue:
    ...     queue.publish(b'{"body": "[]", "properties": {"delivery_info": {"routing_key": "export"}}}')
    """

    def __init__(self, app: Celery) -> None:
        self._queue = app.amqp.queues[app.conf.PLATFORM_QUEUE_NAME]
        self._connection = connection_of(app)
        self._exchange = Exchange(f'{self._queue.exchange.name}.platform', 'topic', durable=False)

    def __enter__(self) -> Self:
        try:
            with self._reaching():
                self._connection.ensure_connection(max_retries=1, reraise_as_library_errors=False)
                self._channel = self._connection.channel()
                self._exchange(self._channel).declare()
                bound = self._queue(self._channel)
                bound.declare()
                bound.bind_to(self._exchange, '#')
        except BaseException:
            self._connection.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.close()

    def publish(self, whole: bytes) -> None:
        """Publish a message again.

        :param whole: the message, as the monitor kept it.
        :raises Unreadable: where it is no message that can be published; the text says why.
        """
        message = from_envelope(None, whole)
        if not message.body:
            raise Unreadable(f'{_NO_BODY}: {message.problem}' if message.problem else _NO_BODY)
        if message.problem is not None:
            raise Unreadable(f'only its bytes are kept: {message.problem}')
        properties: dict[str, Any] = dict(message.properties)
        # RabbitMQ would drop the message before a monitor that is late could read it.
        properties.pop('expiration', None)
        prepared = self._channel.prepare_message(
            message.body,
            content_type=properties.pop('content_type'),
            content_encoding=properties.pop('content_encoding'),
            priority=properties.pop('priority', None),
            headers=dict(message.headers),
            properties=properties,
        )
        with self._reaching():
            self._channel.basic_publish(prepared, exchange=self._exchange.name, routing_key=message.routing_key or '')

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except errors_of(self._connection) as error:
            raise NotUsable(f'The broker cannot be reached: {masked(str(error))}') from error
