"""The loop that publishes what an outbox holds."""

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from celery import Celery
from sqlalchemy.exc import DBAPIError

from ..apps import has_config
from ..database.faults import explained, fault_of, refusing
from ..errors import NotConfigured
from ..settings.credentials import masked
from ..stopping import Stoppable, sleep
from .sending import Sender
from .table import OutboxTable

logger = logging.getLogger(__name__)

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_MEND = (
    'the reason is in celery_outbox. To have it tried again, set its column reason to NULL. To give it up, delete the '
    'row.'
)


class Relay(Stoppable):
    """Publishes the tasks of an outbox that were committed, until it is told to stop.

    The relay deletes a row when the broker has confirmed its message. You may kill it at any moment: another one then
    publishes again what was under way. Any number of relays may run at once. The tasks of a transaction are published
    in their order. While the broker or the database is away, the relay waits. It keeps aside a message that can never
    be published, with the reason.

    :param app: an app that is configured by a `cadasta.workertoolbox.Config`, and has the queues of the tasks.
    :param database: the URL of the database with the outbox.
    :param once: stop when there is nothing left to publish.
    :raises NotConfigured: where the app is configured by something else.

    >>> import sqlalchemy
    >>> from cadasta.workertoolbox import Config, outbox, upgrade_outbox
    >>> app = Celery('export', set_as_current=False)
    >>> app.config_from_object(Config(QUEUES=['export'], broker_url='memory://'))
    >>> upgrade_outbox('sqlite:///shop.db')
    >>> with sqlalchemy.create_engine('sqlite:///shop.db').begin() as connection, outbox(app, connection):
    ...     app.send_task('export.project', (7,)) and None
    >>> Relay(app, 'sqlite:///shop.db', once=True).run()
    """

    def __init__(self, app: Celery, database: str, once: bool = False) -> None:
        super().__init__()
        if not has_config(app):
            raise NotConfigured(f'App {app.main!r} is not configured by a Config, so nobody knows its work queues')
        self._table = OutboxTable(database, lambda: self._stopping)
        self._sender = Sender(app)
        self._once = once
        self._pause = _FIRST_PAUSE
        # The last error of the broker, if messages could not be published.
        self._error: Exception | None = None

    def run(self) -> None:
        """Publish what is committed, until `stop` is called, or as far as ``once`` says.

        :raises NotUsable: where the database refuses the connection, or has no outbox, or lets nobody change it. The
            text says what to change.
        """
        while not self._stopping:
            try:
                with refusing(), self._table as table:
                    if kept := table.kept():
                        logger.error('Messages that can never be published: %d; %s', kept, _MEND)
                    logger.info('Ready: the relay publishes what is committed')
                    while not self._stopping:
                        self._move()
            except DBAPIError as error:
                self._back_off('database', fault_of(error).value, explained(error))

    def _move(self) -> None:
        moved = self._table.move(self._publish)
        if self._error is not None:
            self._back_off('broker', 'does not take all messages', str(masked(str(self._error))))
            return
        self._pause = _FIRST_PAUSE
        if moved:
            logger.info('Published: %d', moved)
        elif self._once:
            self.stop()
        else:
            self._table.wait()

    def _publish(self, rows: Sequence[Any]) -> tuple[Collection[int], Mapping[int, str]]:
        outcome = self._sender.send(rows)
        names = {row.id: f'{row.name}[{row.task_id}]' for row in rows}
        for number, reason in outcome.refused.items():
            logger.error('Task %s can never be published: %s; %s', names[number], reason, _MEND)
        self._error = outcome.error
        return outcome.published, outcome.refused

    def _back_off(self, peer: str, state: str, why: str) -> None:
        logger.warning('The %s %s, next try in %g s: %s', peer, state, self._pause, why)
        sleep(self._pause, lambda: self._stopping)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
