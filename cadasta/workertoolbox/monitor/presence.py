"""Say in the database that a monitor is at work, and how far it has read the platform queue.

By this, a reader tells a worker that is silent from one whose reports nobody has read yet. It needs no clock but that
of the database.
"""

import os
import socket
import time
import uuid
from typing import Any, Protocol

import sqlalchemy as sa

from .. import __version__
from ..database.dialects import INSERTS, NOW
from ..database.tables import monitors
from .optional_table import OptionalTable
from .sources import Source

#: The monitor writes its row at this interval, in seconds.
EVERY = 10.0

_AGO = sa.bindparam('ago', type_=sa.Float())
_BEFORE: dict[str, sa.ColumnElement[Any]] = {
    'postgresql': sa.func.now() - sa.func.make_interval(0, 0, 0, 0, 0, 0, _AGO),
    'sqlite': sa.func.strftime('%Y-%m-%d %H:%M:%f000', 'now', sa.literal('-').concat(_AGO).concat(' seconds')),
}
_IS_END = sa.bindparam('is_end', type_=sa.Boolean())


class Writer(Protocol):
    """Writes the row of a monitor."""

    def tell(self, caught_up: float | None, is_end: bool = False) -> None:
        """Write how far the monitor has read; see `Store.tell`."""


class Presence(OptionalTable):
    """Writes the row of this monitor into ``celery_monitor``, if the table is there and the role may.

    :param once: whether the monitor ends by itself. All such monitors of a host share a row: they may run each minute.
    """

    def __init__(self, once: bool) -> None:
        super().__init__(monitors)
        self._host = socket.gethostname()
        self._boot = f'once@{self._host}' if once else str(uuid.uuid4())

    def write(self, connection: sa.Connection, caught_up: float | None, is_end: bool) -> None:
        """Write the row; see `Store.tell`."""
        dialect = connection.dialect.name
        now = NOW[dialect]
        made = INSERTS[dialect](monitors).values(
            first_seen=now,
            last_seen=now,
            caught_up=None if caught_up is None else _BEFORE[dialect],
            ended=sa.case((_IS_END, now)),
        )
        changed = made.on_conflict_do_update(
            index_elements=[monitors.c.boot],
            set_={
                'last_seen': now,
                'caught_up': sa.func.coalesce(made.excluded.caught_up, monitors.c.caught_up),
                'ended': made.excluded.ended,
            },
        )
        row = {
            'boot': self._boot,
            'host': self._host,
            'pid': os.getpid(),
            'version': __version__,
            'is_end': is_end,
            **({} if caught_up is None else {'ago': round(caught_up, 3)}),
        }
        self.attempt(connection, lambda: connection.execute(changed, row))


class Lookout:
    """Finds out from time to time how far the monitor has read, and has it written down.

    :param source: the source of messages, of which nobody else asks `mark`.
    :param writer: writes how far the monitor has read.
    :param once: whether the monitor ends when it has read what was there when it began.
    """

    def __init__(self, source: Source, writer: Writer, once: bool) -> None:
        self._source = source
        self._writer = writer
        self._once = once
        # When it was opened, the source noted what was in the queue.
        self._marked: float | None = time.monotonic()
        #: All that was in the queue at this moment of the monotonic clock is stored; 0 as long as nobody knows one.
        self.caught_up = 0.0
        self._tell(self._marked, None)

    def look(self, is_empty: bool) -> None:
        """Write down how far the monitor has read, if it is time.

        :param is_empty: whether the queue had nothing when the monitor last asked. All that it had is stored.
        """
        now = time.monotonic()
        if is_empty:
            self.caught_up = now
        # Another monitor may have taken what was there. Then the source never finds it.
        if self._marked is not None and (is_empty or not self._source.has_backlog()):
            self._tell(now, now - self._marked)
            self.caught_up = max(self.caught_up, self._marked)
            self._marked = None
        elif now - self._told >= EVERY and self._marked is None and not self._once:
            self._source.mark()
            self._marked = now
        elif now - self._told >= EVERY:
            self._tell(now, None)

    def end(self) -> None:
        """Write down that the monitor has ended."""
        self._writer.tell(None, is_end=True)

    def _tell(self, now: float, caught_up: float | None) -> None:
        self._writer.tell(caught_up)
        self._told = now
