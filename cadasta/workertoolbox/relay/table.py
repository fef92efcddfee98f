"""The table of the outbox, as a relay reads it."""

import select
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from ..database.connection import Connected
from ..database.outbox import CHANNEL, SLEEP
from ..database.session import is_pooled
from ..database.tables import outbox
from ..stopping import GLANCE, sleep

#: The most messages of a transaction of the relay, and the bytes of their bodies after which it takes no more.
MOST, MOST_BYTES = 500, 8 * 1024 * 1024
#: A relay that cannot be woken looks at the table this often, in seconds.
POLL = 0.2
#: A relay that can be woken looks this often.
LONGEST_SLEEP = 5.0

# A relay that has the first row of a transaction has all of its rows. If two relays took rows of one transaction, they
# would publish them in any order. The recursion reads one row of each transaction, however many rows it has.
_TAKE = {
    'postgresql': sa.text("""
WITH RECURSIVE transactions AS (
    (SELECT transaction_id, id FROM celery_outbox WHERE reason IS NULL ORDER BY transaction_id, id LIMIT 1)
    UNION ALL
    SELECT later.transaction_id, later.id FROM transactions t CROSS JOIN LATERAL (
        SELECT transaction_id, id FROM celery_outbox
        WHERE reason IS NULL AND transaction_id > t.transaction_id
        ORDER BY transaction_id, id LIMIT 1
    ) later
), firsts AS MATERIALIZED (
    SELECT transaction_id FROM celery_outbox
    WHERE reason IS NULL AND id IN (SELECT id FROM transactions LIMIT :looked_at)
    ORDER BY transaction_id LIMIT :most
    FOR UPDATE SKIP LOCKED
), taken AS (
    SELECT own.id FROM firsts CROSS JOIN LATERAL (
        SELECT id FROM celery_outbox
        WHERE reason IS NULL AND transaction_id = firsts.transaction_id
        ORDER BY id LIMIT :most
    ) own
    ORDER BY own.id LIMIT :most
)
SELECT id, task_id, name, routing_key, CAST(headers AS text) AS headers, CAST(properties AS text) AS properties, body
FROM (
    SELECT *, sum(octet_length(body)) OVER (ORDER BY id) - octet_length(body) AS bytes_before
    FROM celery_outbox JOIN taken USING (id)
) rows_and_sizes WHERE bytes_before < :most_bytes
ORDER BY id"""),
    # One connection at a time writes.
    'sqlite': sa.text("""
SELECT id, task_id, name, routing_key, CAST(headers AS text) AS headers, CAST(properties AS text) AS properties, body
FROM (
    SELECT *, sum(length(body)) OVER (ORDER BY id) - length(body) AS bytes_before FROM celery_outbox
    WHERE reason IS NULL
    ORDER BY id LIMIT :most
) WHERE bytes_before < :most_bytes
ORDER BY id"""),
}
# The relay looks at more transactions than it takes, because others may have the first ones.
_LIMITS = {'most': MOST, 'most_bytes': MOST_BYTES, 'looked_at': 4 * MOST}
_IS_EMPTY = sa.text('SELECT NOT EXISTS (SELECT 1 FROM celery_outbox WHERE reason IS NULL)')
_KEPT = sa.text('SELECT count(*) FROM celery_outbox WHERE reason IS NOT NULL')


class OutboxTable(Connected):
    """A connection to the table of the outbox, as a context manager.

    :param url: the URL of the database.
    :param stopping: tells whether the relay is about to stop.
    """

    _maker = 'celery toolbox tables --outbox'

    def __init__(self, url: str, stopping: Callable[[], bool]) -> None:
        super().__init__(url)
        self._stopping = stopping
        self._can_listen = False

    def _prepare(self) -> None:
        self._require('table', (outbox.name,))
        self._connection.rollback()
        if self._engine.dialect.name != 'postgresql':
            return
        # The session is idle within a transaction while it publishes.
        self._connection.execute(sa.text('SET idle_in_transaction_session_timeout = 0'))
        # A pooler gives the notification, and the lock, to somebody else.
        self._can_listen = self._engine.dialect.driver == 'psycopg2' and not is_pooled(self._connection)
        if self._can_listen:
            self._connection.execute(sa.text(f'LISTEN {CHANNEL}'))
        self._connection.commit()

    def kept(self) -> int:
        """Count the messages that were kept aside."""
        with self._connection.begin():
            return int(self._connection.scalar(_KEPT) or 0)

    def move(self, publish: Callable[[Sequence[Any]], tuple[Collection[int], Mapping[int, str]]]) -> int:
        """Take rows, publish their messages, and delete the rows, in one transaction.

        Others skip these rows meanwhile. If the relay is killed, they stay, and another one publishes them again.

        :param publish: publishes the messages of rows. It gives the numbers of those that were published, and the
            reason by the number of those that can never be published. All others stay.
        :returns: the number of rows that were published or kept aside.
        """
        dialect = self._engine.dialect.name
        with self._connection.begin():
            if dialect == 'sqlite':
                # Otherwise another relay could read the same rows before this one deletes them.
                self._connection.exec_driver_sql('BEGIN IMMEDIATE')
            rows = self._connection.execute(_TAKE[dialect], _LIMITS).all()
            if not rows:
                return 0
            published, refused = publish(rows)
            if published:
                self._connection.execute(sa.delete(outbox).where(outbox.c.id.in_(published)))
            for number, reason in refused.items():
                self._connection.execute(
                    sa.update(outbox)
                    .where(outbox.c.id == number)
                    .values(refused=sa.func.now(), reason=reason.replace('\0', '\ufffd'))
                )
        return len(published) + len(refused)

    def wait(self) -> None:
        """Wait until somebody may have written rows."""
        # A notification that comes from now on may be the one that it waits for.
        if self._can_listen:
            self._driver.notifies.clear()
        if not self._can_listen or not self._lock():
            sleep(POLL, self._stopping)
            return
        try:
            # A transaction that was committed before the lock was taken has sent no notification.
            with self._connection.begin():
                is_empty = self._connection.scalar(_IS_EMPTY)
            if is_empty:
                self._listen()
        finally:
            with self._connection.begin():
                self._connection.execute(sa.text(f'SELECT pg_advisory_unlock({SLEEP})'))

    @property
    def _driver(self) -> Any:
        return self._connection.connection.driver_connection

    def _lock(self) -> bool:
        with self._connection.begin():
            return bool(self._connection.scalar(sa.text(f'SELECT pg_try_advisory_lock({SLEEP})')))

    def _listen(self) -> None:
        end = time.monotonic() + LONGEST_SLEEP
        while not self._stopping() and not self._driver.notifies and time.monotonic() < end:
            if select.select([self._driver], [], [], GLANCE)[0]:
                # The driver has read the notification when the answer to a statement is there.
                with self._connection.begin():
                    self._connection.execute(sa.text('SELECT 1'))
