"""The loop that drains the platform queue."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path

from celery import Celery
from sqlalchemy.exc import DBAPIError

from ..database.faults import explained, fault_of
from ..settings.credentials import masked
from ..stopping import Stoppable
from ..timeouts import connect_once
from .message import Message
from .presence import Lookout
from .progress import Progress
from .sources import Limits, Source, connection_of, errors_of, open_source
from .store import Store, Stored
from .tally import Peer, Tally

logger = logging.getLogger(__name__)

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
# How long the monitor leaves a broker alone while it stores a batch, in seconds.
_TICK = 1.0


class Monitor(Stoppable):
    """Stores what the platform queue holds, batch by batch, until it is told to stop.

    The monitor commits a batch before it acknowledges it. So you may kill it at any moment: the broker delivers again
    the messages that nobody acknowledged, and storing them again changes nothing. Any number of monitors may run at
    once. While the database or the broker is away, the monitor acknowledges nothing and tries again until both are
    back. It keeps the batch that it has while the database is away: a broker may drop a message that it has delivered
    too often.

    :param app: an app that is configured by `cadasta.workertoolbox.conf.Config`.
    :param database: the URL of the database with the Task table.
    :param batch: the most messages in a batch.
    :param linger: how long the first message of a batch waits for more, in seconds.
    :param once: stop when the queue is empty, or when all is stored that was in the queue at the start.
    :param arguments: whether to store the arguments of tasks, or only the representations that their senders allowed.
    :param ready_file: a file that exists while both database and broker answer. The monitor keeps touching it.

    >>> from cadasta.workertoolbox.conf import Config
    >>> from cadasta.workertoolbox.monitor import upgrade
    >>> app = Celery()
    >>> app.config_from_object(Config(broker_url='memory://'))
    >>> app.send_task('export.project', (7,)) and None
    >>> upgrade('sqlite:///tasks.db')
    >>> Monitor(app, 'sqlite:///tasks.db', once=True).run()
    """

    def __init__(
        self,
        app: Celery,
        database: str,
        batch: int = 500,
        linger: float = 0.2,
        once: bool = False,
        arguments: bool = True,
        ready_file: Path | None = None,
    ) -> None:
        super().__init__()
        self._app = app
        self._store = Store(database, arguments, once)
        self._limits = Limits(batch, linger, lambda: self._stopping)
        self._once = once
        self._progress = Progress(ready_file)
        #: It counts what the monitor does, for those who watch it.
        self.tally = Tally()
        self._is_ready = False
        self._pause = _FIRST_PAUSE

    def run(self) -> None:
        """Drain the queue until `stop` is called, or as far as ``once`` says.

        :raises NotUsable: where the database refuses the connection, has no Task table, or lets nobody write it. The
            text says what to change.
        """
        try:
            while not self._stopping:
                self._run_until_something_fails()
        finally:
            self._progress.end()

    def _run_until_something_fails(self) -> None:
        with connection_of(self._app) as connection:
            errors = errors_of(connection)
            try:
                with self._store:
                    connect_once(connection)
                    source = open_source(
                        connection, self._app.amqp.queues[self._app.conf.PLATFORM_QUEUE_NAME], self._limits
                    )
                    errors = source.errors
                    self._drain(source)
            except DBAPIError as error:
                self._wait_for_database(error, self._limits.sleep)
            except errors as error:
                self._back_off('broker', 'is away', masked(str(error)), self._limits.sleep)

    def _drain(self, source: Source) -> None:
        self._begin()
        lookout = Lookout(source, self._store, self._once)
        with ThreadPoolExecutor(1, 'store') as pool:
            while not self._stopping:
                is_last = self._once and not source.has_backlog()
                messages = source.receive()
                if messages:
                    stored = self._keep_until_stored(source, messages, pool, self._store.write)
                    source.acknowledge(messages)
                    self._progress.add(stored)
                if is_last or (self._once and not messages):
                    self.stop()
                self._look(lookout, source, pool, is_empty=not messages)
                self._pause = _FIRST_PAUSE
                self.tally.move()
                self.tally.catch_up(lookout.caught_up)
                self._progress.report(lambda: self.tally.counted(source.waiting()))
        source.release(())
        lookout.end()

    def _look(self, lookout: Lookout, source: Source, pool: ThreadPoolExecutor, is_empty: bool) -> None:
        try:
            lookout.look(is_empty)
        except DBAPIError as error:
            # A new connection to the broker would have messages delivered again, and quorum queues count that.
            self._wait_for_database(error, partial(source.hold, ()))
            self._keep_until_stored(source, (), pool, self._store.write_anew)

    def _keep_until_stored(
        self,
        source: Source,
        messages: Sequence[Message],
        pool: ThreadPoolExecutor,
        write: Callable[[Sequence[Message]], Stored],
    ) -> Stored:
        storing = pool.submit(self.tally.measured, write, messages)
        while True:
            source.fetch_ahead(storing.done)
            while not wait([storing], _TICK).done:
                source.hold(messages, 0)
            try:
                stored = storing.result()
            except Exception as error:
                if self._stopping or not isinstance(error, DBAPIError):
                    source.release(messages)
                    raise
                self._wait_for_database(error, partial(source.hold, messages))
                storing = pool.submit(self.tally.measured, self._store.write_anew, messages)
            else:
                if not self._is_ready:
                    self._begin()
                return stored

    def _wait_for_database(self, error: DBAPIError, pause: Callable[[float], None]) -> None:
        self._back_off('database', fault_of(error).value, explained(error), pause)

    def _begin(self) -> None:
        self._is_ready = True
        self._progress.begin()
        self.tally.begin()

    def _back_off(self, peer: Peer, state: str, why: str, pause: Callable[[float], None]) -> None:
        self._is_ready = False
        self._progress.end()
        self.tally.failed(peer, f'The {peer} {state}: {why}')
        logger.warning('The %s %s, next try in %g s: %s', peer, state, self._pause, why)
        pause(self._pause)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
