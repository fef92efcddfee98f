"""Store batches of messages in the database, by one statement each. Repeating a statement changes nothing."""

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from ..database.connection import Connected
from ..database.dialects import INSERTS, NOW
from ..database.faults import Fault, fault_of, refusing
from ..database.session import is_pooled
from ..database.tables import rejected, task
from ..database.values import storable
from ..errors import NotUsable, Unreadable
from ..reports.message import is_report
from .decode import TaskRow, decode
from .message import Message, whole
from .presence import Presence
from .reports import Reports
from .sources.base import within_memory

logger = logging.getLogger(__name__)

_Item = TypeVar('_Item')

#: The most rows of a statement.
MAX_ROWS = 10_000
#: The store splits a batch whose rows, or rejected messages, are longer than this, in characters or bytes.
MAX_STATEMENT = 4 * 2**20
# A database may quote what it refuses.
_LONGEST_REASON = 1_000

# A row whose message is acknowledged must survive a crash of the server, even where the server is set to report a
# commit before it has written it.
_DURABLE = sa.text(
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
)


class Stored(NamedTuple):
    """The counts of a batch that was stored.

    :param tasks: how many messages went into the Task table.
    :param rejected: how many messages went into ``celery_task_rejected``.
    """

    tasks: int
    rejected: int


class Store(Connected):
    """A connection to the database that has the Task table, as a context manager.

    :param url: the database's URL, as SQLAlchemy spells it: PostgreSQL's or SQLite's.
    :param arguments: whether to store the arguments of tasks.
    :param once: whether the monitor ends when it has stored what was there when it began.
    :raises NotUsable: where the URL is not that of such a database, or tables or columns are missing.
    :raises sqlalchemy.exc.DBAPIError: where the database cannot be reached.

    >>> from cadasta.workertoolbox.monitor.message import Message
    >>> from cadasta.workertoolbox.database.upgrade import upgrade
    >>> upgrade('sqlite:///tasks.db')
    >>> headers = {'task': 'export.project', 'id': '1'}
    >>> with Store('sqlite:///tasks.db') as store:
    ...     store.write([Message(1, b'[[7], {}, {}]', headers, {'content_type': 'application/json'})])
    Stored(tasks=1, rejected=0)
    """

    def __init__(self, url: str, arguments: bool = True, once: bool = False) -> None:
        super().__init__(url)
        self.arguments = arguments
        self._reports = Reports()
        self._presence = Presence(once)
        self._upsert = _UPSERTS[self._engine.dialect.name]
        self._most = MAX_ROWS

    def _prepare(self) -> None:
        self._require('table', (task.name, rejected.name))
        self._reports.prepare(self._connection)
        self._presence.prepare(self._connection)
        self._connection.rollback()
        if self._engine.dialect.name == 'postgresql':
            # Each statement is a transaction of its own, which saves the round trips of BEGIN and COMMIT.
            self._connection.execution_options(isolation_level='AUTOCOMMIT')
            if self._connection.execute(_DURABLE).first() and is_pooled(self._connection):
                raise NotUsable(
                    'The database commits before it has written, and a pooler such as PgBouncer may undo that the '
                    'monitor switches this off. Let the monitor connect to PostgreSQL directly, or run: ALTER ROLE ... '
                    'SET synchronous_commit = on'
                )
            self._connection.commit()
            # A role without rights, or a database that is read-only, refuses this, too. So the monitor takes no message
            # that it would have to give back: a broker may count how often it delivers one, and drop it.
            self._execute(*self._upsert([]))
            self._execute(_REJECT_NOTHING)

    def write(self, messages: Iterable[Message]) -> Stored:
        """Store a batch. When this returns, it is committed.

        :param messages: the messages, in any order, repeated or not.
        :returns: how many messages became rows of tasks, and how many were rejected.
        :raises NotUsable: where a table is missing or the role may not write it.
        :raises sqlalchemy.exc.DBAPIError: where the database is away; some of the batch may be stored.
        """
        rest = iter(messages)
        # The store keeps more of some messages until it has written them than the source does.
        parts = [self._write(part) for part in iter(lambda: list(within_memory(rest)), [])]
        return Stored(sum(part.tasks for part in parts), sum(part.rejected for part in parts))

    def tell(self, caught_up: float | None, is_end: bool = False) -> None:
        """Say how far the monitor has read, and that it is at work.

        :param caught_up: so many seconds ago, the platform queue had nothing that is not stored now; `None` if there
            was no such time since the last call.
        :param is_end: whether the monitor ends now.
        :raises sqlalchemy.exc.DBAPIError: where the database is away.
        """
        self._presence.write(self._connection, caught_up, is_end)

    def write_anew(self, messages: Iterable[Message]) -> Stored:
        """Connect once more, and store a batch as `write` does.

        :raises NotUsable: where `write` does so, or the database refuses the connection for good.
        :raises sqlalchemy.exc.DBAPIError: where the database is away.
        """
        self._connection.close()
        self._connect()
        return self.write(messages)

    def _write(self, messages: Sequence[Message]) -> Stored:
        total, size = 0, 0
        read: list[tuple[TaskRow, Message]] = []
        refused: list[_Refused] = []
        reports: list[Message] = []
        for message in messages:
            if is_report(message.headers):
                reports.append(message)
                continue
            total += 1
            try:
                row = self._kept(decode(message, self.arguments))
            except Unreadable as error:
                refused.append(_Refused(message, str(error)))
                continue
            # A small compressed body may hold a large one. The store does not keep them for a whole batch.
            if row.body is not None or size + len(row.text) > MAX_STATEMENT:
                refused += self._write_rows(read)
                read, size = [], 0
            read.append((row, message))
            size += len(row.text) if row.body is None else MAX_STATEMENT
        refused += self._write_rows(read)
        stored = total - len(refused)
        refused += [_Refused(*item) for item in self._reports.write(self._connection, reports)]
        for portion in _portions(refused):
            for _, refusal in self._store(portion, self._reject):
                raise refusal
        return Stored(stored, len(refused))

    def _kept(self, row: TaskRow) -> TaskRow:
        # PostgreSQL gets the text. The values that it was made of may need much more memory.
        return row if self._engine.dialect.name == 'sqlite' else row._replace(values={})

    def _write_rows(self, read: Sequence[tuple[TaskRow, Message]]) -> 'list[_Refused]':
        refused = self._store(read, lambda some: self._upsert(_latest(row for row, _ in some)))
        return [_Refused(message, f'the database refuses it: {error.orig}') for (_, message), error in refused]

    def _reject(self, refused: 'Sequence[_Refused]') -> tuple[Any, None]:
        return _reject(self._engine.dialect.name, refused, self.arguments), None

    def _store(
        self, items: Sequence[_Item], statement: Callable[[Sequence[_Item]], tuple[Any, Any]]
    ) -> list[tuple[_Item, DBAPIError]]:
        """Store items, and tell which of them the database refuses, with its error."""
        refused: list[tuple[_Item, DBAPIError]] = []
        left = items
        while left:
            some, left = left[: self._most], left[self._most :]
            refused += self._store_some(some, statement)
        return refused

    def _store_some(
        self, items: Sequence[_Item], statement: Callable[[Sequence[_Item]], tuple[Any, Any]]
    ) -> list[tuple[_Item, DBAPIError]]:
        try:
            self._execute(*statement(items))
        except DBAPIError as error:
            fault = fault_of(error)
            if fault is Fault.DATA and len(items) == 1:
                return [(items[0], error)]
            if fault not in (Fault.DATA, Fault.SLOW) or len(items) == 1:
                raise
            middle = len(items) // 2
            if fault is Fault.SLOW:
                self._most = middle
                logger.warning('The database gives up a statement with %d rows. The next has %d.', len(items), middle)
            return [*self._store_some(items[:middle], statement), *self._store_some(items[middle:], statement)]
        # The slow statement may have been waiting for others.
        self._most = min(self._most + 1, MAX_ROWS)
        return []

    def _execute(self, statement: Any, parameters: Any = None) -> None:
        with refusing(' to store tasks'), self._connection.begin():
            self._connection.execute(statement, parameters)


class _Refused(NamedTuple):
    message: Message
    reason: str


def _latest(rows: Iterable[TaskRow]) -> list[TaskRow]:
    # PostgreSQL refuses a statement that touches a row twice. Rows in the order of their ids keep two monitors from
    # waiting for each other in a circle.
    latest: dict[str, TaskRow] = {}
    for row in rows:
        known = latest.get(row.task_id)
        if known is None or row.version >= known.version:
            latest[row.task_id] = row
    return [latest[task_id] for task_id in sorted(latest)]


_MESSAGE_COLUMNS = [column for column in task.columns if column.name not in ('first_seen', 'last_seen', 'resent')]


def _on_conflict(statement: Any) -> Any:
    new, old = statement.excluded, task.c

    def version(row: Any) -> list[Any]:
        return [sa.func.coalesce(row.options['replaced_task_nesting'].as_integer(), 0), row.retries]

    is_later = sa.tuple_(*version(new)) >= sa.tuple_(*version(old))
    changes: dict[str, Any] = {
        column.name: sa.case((is_later, new[column.name]), else_=old[column.name])
        for column in _MESSAGE_COLUMNS
        if column is not task.c.task_id
    }
    return statement.on_conflict_do_update(
        index_elements=[old.task_id],
        set_={
            **changes,
            'first_seen': sa.case((new.first_seen < old.first_seen, new.first_seen), else_=old.first_seen),
            'last_seen': sa.case((new.last_seen > old.last_seen, new.last_seen), else_=old.last_seen),
        },
    )


def _postgresql_statement() -> Any:
    # All rows travel as one parameter: the server takes them apart faster than a driver puts them together. A row with
    # a large body is alone, and its body is another parameter, because it would need more memory within JSON.
    rows = (
        sa.func.jsonb_to_recordset(sa.bindparam('rows', type_=sa.Text).cast(postgresql.JSONB))
        .table_valued(*(sa.column(column.name, column.type) for column in _MESSAGE_COLUMNS))
        .render_derived(with_types=True)
    )
    now = NOW['postgresql']
    columns = [rows.c[column.name] for column in _MESSAGE_COLUMNS if column is not task.c.body]
    body = sa.func.coalesce(rows.c.body, sa.bindparam('body', type_=sa.LargeBinary))
    statement = postgresql.insert(task).from_select(
        [*(column.name for column in columns), 'body', 'first_seen', 'last_seen'],
        sa.select(*columns, body, now, now),
    )
    return _on_conflict(statement)


_POSTGRESQL = _postgresql_statement()
_SQLITE = _on_conflict(sqlite.insert(task).values(first_seen=NOW['sqlite'], last_seen=NOW['sqlite']))


def _postgresql_upsert(rows: Sequence[TaskRow]) -> tuple[Any, Any]:
    body = rows[0].body if rows else None
    return _POSTGRESQL, {'rows': f'[{",".join(row.text for row in rows)}]', 'body': body}


def _sqlite_upsert(rows: Sequence[TaskRow]) -> tuple[Any, Any]:
    return _SQLITE, [row.values for row in rows]


_UPSERTS: dict[str, Callable[[Sequence[TaskRow]], tuple[Any, Any]]] = {
    'postgresql': _postgresql_upsert,
    'sqlite': _sqlite_upsert,
}


def _portions(refused: Iterable[_Refused]) -> Iterator[list[_Refused]]:
    portion: list[_Refused] = []
    size = 0
    for item in refused:
        if portion and size + len(item.message.body) > MAX_STATEMENT:
            yield portion
            portion, size = [], 0
        portion.append(item)
        size += len(item.message.body)
    if portion:
        yield portion


def _reject(dialect: str, refused: Iterable[_Refused], has_body: bool) -> Any:
    rows = {row['digest']: row for row in (_rejected_row(item, NOW[dialect], has_body) for item in refused)}
    statement = INSERTS[dialect](rejected).values([rows[digest] for digest in sorted(rows)])
    return statement.on_conflict_do_update(
        index_elements=[rejected.c.digest], set_={'last_seen': statement.excluded.last_seen}
    )


# As `_reject` makes it, without a row.
_REJECT_NOTHING = (
    postgresql.insert(rejected)
    .from_select(
        [column.name for column in rejected.columns],
        sa.select(*(sa.null() for _ in rejected.columns)).where(sa.false()),
    )
    .on_conflict_do_update(
        index_elements=[rejected.c.digest], set_={'last_seen': postgresql.insert(rejected).excluded.last_seen}
    )
)


def _rejected_row(item: _Refused, now: Any, has_body: bool) -> dict[str, Any]:
    message, reason = item
    everything = whole(message, has_body)
    reason = storable(reason)[:_LONGEST_REASON]
    logger.warning('Rejected a message: %s', reason)
    return {
        # Nothing may be kept of a message.
        'digest': hashlib.sha256(everything or reason.encode()).hexdigest(),
        'reason': reason,
        'task_id': _text(message.headers.get('id')),
        'name': _text(message.headers.get('task')),
        'routing_key': _text(message.routing_key),
        'message': everything,
        'first_seen': now,
        'last_seen': now,
    }


def _text(value: Any) -> str | None:
    return storable(value) if isinstance(value, str) else None
