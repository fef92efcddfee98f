"""Write the tasks of a block into the outbox, a table of the caller's database, by the caller's own transaction."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from celery import Celery
from kombu.exceptions import EncodeError
from kombu.utils.json import dumps

from ..apps import has_config
from ..errors import BadOutbox, NotConfigured
from ..seams.celery_app import app_itself
from .collecting import Collection, Message, collecting, collection_of
from .sessions import Write, writer_of

_NESTED = 'an outbox of the same app: the tasks of both belong to one transaction. Leave out the inner one.'
_IN_A_BATCH = 'a batch of the same app. Leave the batch out: the relay sends the tasks of an outbox in batches.'


@contextmanager
def outbox(app: Celery, session: Any) -> Iterator[None]:
    """Send the tasks of a block if, and only if, the caller's transaction is committed.

    Within the block, ``delay``, ``apply_async``, ``send_task`` and the canvases return their results at once, with
    their ids. Each task is a row of the table ``celery_outbox``, which the caller's own transaction writes. ``celery
    toolbox relay`` publishes the rows that were committed. Nothing is said to the broker within the block, so it may be
    away. A savepoint that is rolled back takes its tasks with it.

    The outbox has the tasks that this thread, greenlet or coroutine publishes by this app. The retry of a task that
    runs is sent at once.

    :param app: an app that is configured by a `cadasta.workertoolbox.Config`.
    :param session: what writes the caller's transaction: a `sqlalchemy.orm.Session`, a `sqlalchemy.Connection`, or a
        connection of Django, such as ``django.db.connection``. Its database is PostgreSQL or SQLite, and has the table
        that ``celery toolbox tables --outbox`` makes.
    :raises NotConfigured: where the app is configured by something else.
    :raises BadOutbox: where the session is something else, or within an outbox or a `batch` of the app. The call that
        publishes a task raises it where there is no transaction, where the database has no such table, and in a process
        that was forked within the block.

    >>> import sqlalchemy
    >>> from cadasta.workertoolbox import Config, upgrade_outbox
    >>> app = Celery('export', set_as_current=False)
    >>> app.config_from_object(Config(QUEUES=['export'], broker_url='memory://'))
    >>> upgrade_outbox('sqlite:///shop.db')
    >>> with sqlalchemy.create_engine('sqlite:///shop.db').begin() as connection:
    ...     with outbox(app, connection):
    ...         result = app.send_task('export.project', (7,))
    ...     connection.scalar(sqlalchemy.text('SELECT task_id FROM celery_outbox')) == result.id
    True
    """
    if not has_config(app):
        raise NotConfigured(
            f'App {app.main!r} is not configured by a Config, so no relay can publish its tasks. Configure it by '
            'app.config_from_object(Config(…)).'
        )
    # A proxy such as `celery.current_app` is not the app that publishes.
    app = app_itself(app)
    around = collection_of(app)
    if around is not None:
        raise BadOutbox(f'An outbox within {_NESTED if isinstance(around, Outbox) else _IN_A_BATCH}')
    with collecting(app, partial(Outbox, write=writer_of(session))):
        yield


class Outbox(Collection):
    """The tasks that an app publishes within a block, which are written at once.

    :param app: the app.
    :param outer: the collection of the block around this one. Another app has it.
    :param write: writes a row.
    """

    def __init__(self, app: Celery, outer: Collection | None, write: Write) -> None:
        super().__init__(app, outer)
        self._write = write

    def is_for(self, app: Celery) -> bool:
        """Tell whether it takes messages of an app.

        :raises BadOutbox: in a child of its process, which has no part in the transaction.
        """
        if self._is_open and self.app is app and self._pid != os.getpid():
            raise BadOutbox(
                'This process was forked within an outbox, and has no part in the transaction of its parent. Fork '
                'before the block begins.'
            )
        return super().is_for(app)

    def add(self, *messages: Message) -> bool:
        """Write messages. An event of Celery, which says that a task was sent, is dropped."""
        if not self._is_open:
            return False
        for message in messages:
            if message.task_id is not None:
                self._write(self._row(message))
        return True

    def _row(self, message: Message) -> Mapping[str, Any]:
        options = dict(message.options)
        exchange, headers = options.pop('exchange', None), options.pop('headers')
        options.pop('declare', None)
        expected = self.app.loader.conf.topology.exchange.name
        if getattr(exchange, 'name', exchange) != expected:
            raise BadOutbox(
                f'Task {headers.get("task")!r} goes to another exchange than {expected!r}, and the relay publishes to '
                'that one only. Publish it outside of the outbox.'
            )
        body = message.body
        return {
            'task_id': message.task_id,
            'name': headers.get('task') or '',
            'routing_key': options.pop('routing_key'),
            'headers': _json('headers', headers),
            'properties': _json('properties', options),
            'body': body.encode() if isinstance(body, str) else body,
        }


def _json(what: str, values: Mapping[str, Any]) -> str:
    try:
        text: str = dumps(values)
    except (TypeError, ValueError) as error:
        raise EncodeError(f'The {what} of a message in an outbox must be JSON: {error}') from error
    return text
