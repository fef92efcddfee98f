"""Celery's database backend, with one statement a state, and with claims."""

import logging
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC
from functools import partial
from typing import Any

import sqlalchemy as sa
from celery import states
from celery.exceptions import BackendStoreError, Ignore
from sqlalchemy.exc import DBAPIError, IntegrityError, NoSuchTableError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from ..architecture import ID_LENGTH
from ..database.faults import Fault, explained, fault_of
from ..database.ownership import ROLE
from ..database.tables import present_columns, result_tables
from ..database.values import storable
from ..errors import NotAllowed, NotUsable, UnreadableResult
from ..seams.celery_chords import tell_backend
from ..seams.celery_database import OpenBackend, was_not_sent
from ..seams.celery_pool import active
from ..seams.celery_tasks import bare_request
from . import chords, identity, keeper, waiting
from .claim import COLUMNS, Claim, Failed, Impossible, Statements, Telling, answer, insert_parts, text
from .engines import engine
from .reading import checked, decoded, exception
from .refusal import Refused, refusal

logger = logging.getLogger(__name__)

#: For how long a worker vouches for what it runs, in seconds.
LEASE = 60

_COLUMNS = ('status', 'result', 'date_done', 'traceback', 'children')
_EXTENDED_COLUMNS = ('name', 'args', 'kwargs', 'queue', 'stamps')
_SHOWN = 300
_IS_FOREIGN = 'SELECT NOT {may_write} FROM {table} AS stored WHERE task_id = :task_id'


class Dropped(Ignore):
    """A state is not stored, because another run has the claim of its task, or the task has ended."""


class Backend(OpenBackend):
    """The result backend of all apps that use `cadasta.workertoolbox.conf.Config` and store results in a database."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._statements: Statements | None = None
        self._is_probed = False

    # Reading

    def decode(self, payload: Any) -> Any:
        """Decode what is stored; see `decoded`."""
        return decoded(payload, self.content_type, self.content_encoding, self.accept)

    def exception_to_python(self, exc: Any) -> Any:
        """Make the exception that is stored; see `exception`."""
        return exception(super().exception_to_python, exc)

    def read_state(self, task_id: str) -> dict[str, Any]:
        """Read the state of a task: a failure, where its result cannot be read."""
        try:
            return checked(super().read_state(task_id), self.app)
        except UnreadableResult as error:
            # The watch over a chord repeats what raises an error, for hours. A failure makes it fail the chord's body.
            nothing = dict.fromkeys(('traceback', 'children', 'date_done'))
            return {'task_id': task_id, 'status': states.FAILURE, 'result': error, **nothing}

    # Chords

    def apply_chord(self, header_result_args: tuple[str, Any], body: Any, **options: Any) -> None:
        """Prepare what waits for the header of a chord, which is sent after it; see `chords`."""
        group_id, results = header_result_args
        if tell_backend(results, Backend):
            chords.begin(self.app, group_id, results, body, options)
        else:
            super().apply_chord(header_result_args, body, **options)

    def add_pending_result(self, result: Any, weak: bool = False) -> Any:
        """Note that a task was sent: Celery tells it of each task of a group or a header."""
        chords.note_sent(result)
        return super().add_pending_result(result, weak=weak)

    # Waiting

    def exception_safe_to_retry(self, exc: BaseException) -> bool:
        """Tell whether the database may be away: what it refuses for the data's sake, it refuses for ever."""
        is_away = super().exception_safe_to_retry(exc) or isinstance(exc, NoConnectionFree)
        return is_away and refusal(exc) is None and not _refuses_producer(exc)

    def retried(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Call a function, and again for as long as the database is away, until the worker ends.

        :raises NotUsable: where the database refuses the connection for good, and this process is no worker, which
            would have results to keep.
        """
        self._patience = waiting.Patience()
        self._has_told = False
        try:
            return super().retried(function, *args, **options)
        except DBAPIError as error:
            if _refuses_producer(error):
                raise NotUsable(f'The result database refuses the connection: {explained(error)}') from error
            raise

    def pause(self, seconds: float) -> None:
        """Wait before the next try; see `Patience`."""
        self._patience.sleep(seconds)

    def on_backend_retryable_error(self, exc: BaseException) -> None:
        """Say once for each result what to change, where waiting alone does not help: the result is kept meanwhile."""
        super().on_backend_retryable_error(exc)
        if not self._has_told and isinstance(exc, DBAPIError) and fault_of(exc) is Fault.REFUSED:
            self._has_told = True
            logger.error('The result database refuses, and the worker tries on until it does not: %s', explained(exc))

    # Storing

    def store_result(
        self,
        task_id: str,
        result: Any,
        state: str,
        traceback: str | None = None,
        request: Any = None,
        **options: Any,
    ) -> Any:
        """Store a state of a task, by one statement.

        :raises Dropped: where another run has the claim of the task, or it has ended.
        :raises Refused: where the database cannot hold the result of a success, or a state of the task's own.
        """
        encoded = self.encode_result(result, state)
        stored = encoded
        if _is_start(task_id, state, request):
            waiting.begin_task()
            # Tells this start from all others, if the answer of the database is lost and it is asked again.
            stored = {**encoded, 'claim': uuid.uuid4().hex[:12]}
        store = partial(self._store_or_shorten, task_id, stored, state, traceback, request, time.monotonic())
        if keeper.is_needed():
            keeper.store(f'{state} of task {task_id}', store)
        else:
            with waiting.outside_limits():
                store()
        return encoded

    def _store_or_shorten(
        self, task_id: str, result: Any, state: str, traceback: str | None, request: Any, reached: float
    ) -> None:
        store = partial(
            self.retried,
            self.store_state,
            fallback_exc=partial(BackendStoreError, task_id=task_id, state=state),
            fallback_msg='failed to store result on the backend',
            request=request,
            reached=reached,
        )
        try:
            store(task_id, result, state, traceback=traceback)
        except Exception as error:
            refused = refusal(error)
            if refused is None:
                raise
            if _is_start(task_id, state, request):
                request.toolbox_claim = Impossible(str(refused))
            elif state not in self.EXCEPTION_STATES:
                # Celery stores this error in place of the result.
                raise refused from error
            else:
                # Another column than the result may be to blame, such as the list of the tasks that this one has sent.
                bare = request and bare_request(request.id, toolbox_claim=answer(request))
                self._store_shortened(partial(store, request=bare), task_id, result, state, refused)

    def _store_shortened(
        self, store: Callable[..., None], task_id: str, result: Any, state: str, refused: Refused
    ) -> None:
        was = result if isinstance(result, dict) else {}
        shortened = Refused(f'{refused}. It was {was.get("exc_type")}: {str(was.get("exc_message"))[:_SHOWN]}')
        try:
            store(task_id, self.prepare_exception(shortened), state)
        except Exception as error:
            if refusal(error) is None:
                raise
            logger.error('The database cannot hold the state %s of task %.200s: %s', state, task_id, refused)

    def store_state(
        self,
        task_id: str,
        result: Any,
        state: str,
        traceback: str | None = None,
        request: Any = None,
        reached: float | None = None,
        **options: Any,
    ) -> None:
        """Store a state of a task, once. Celery's own statements do so where the table has no columns for claims.

        :param reached: when the task reached the state, as `time.monotonic` tells it; `None` for now.
        """
        statements = self._claiming_statements()
        if statements is None:
            try:
                super().store_state(task_id, result, state, traceback=traceback, request=request, **options)
            except IntegrityError:
                # Celery locks no row of another role, takes it for missing, and would insert it for ever.
                if not self._is_foreign(task_id):
                    raise
                logger.error('The state %s of task %s is not stored: its row belongs to another role', state, task_id)
            return
        row = self.values(result, state, traceback, request)
        values = {'task_id': task_id, **{name: row[name] for name in self._columns}}
        # The clock of the database tells the time, because those of workers differ.
        now = time.monotonic()
        age = now - (now if reached is None else reached)
        values['age'] = None if values.pop('date_done') is None else age
        claim = answer(request) if _is_own(task_id, request) else None
        with self._engine.connect() as connection:
            if isinstance(claim, Claim):
                self._store_own(statements, connection, values, claim)
            elif _is_start(task_id, state, request):
                self._claim(statements, connection, values, request)
            else:
                self._store_unclaimed(statements, connection, values, request)

    def _claim(self, statements: Statements, connection: sa.Connection, values: dict[str, Any], request: Any) -> None:
        attempt = request.replaced_task_nesting or 0, request.retries or 0
        while True:
            runs = statements.claim(connection, values, identity.name(), attempt, LEASE)
            if runs is not None:
                request.toolbox_claim = Claim(runs)
                return
            holder = statements.explain(connection, values['task_id'], LEASE)
            # It may be deleted in between.
            if holder is not None:
                request.toolbox_claim = holder.refuses(attempt)
                if holder.is_telling(attempt):
                    runs = statements.tell(connection, values['task_id'], identity.name(), LEASE)
                    request.toolbox_claim = request.toolbox_claim if runs is None else Failed(runs)
                return

    def _store_own(
        self, statements: Statements, connection: sa.Connection, values: dict[str, Any], claim: Claim
    ) -> None:
        worker = identity.name()
        if statements.store_own(connection, values, worker, claim):
            return
        holder = statements.explain(connection, values['task_id'], LEASE)
        if holder is None:
            statements.store(connection, values, worker, is_own_task=True)
        elif (holder.worker, holder.runs, holder.state) != (worker, claim.runs, values['status']):
            raise Dropped(f'run {holder.runs}, on {holder.worker}, has the claim of it, and is {holder.state}')

    def _store_unclaimed(
        self, statements: Statements, connection: sa.Connection, values: dict[str, Any], request: Any
    ) -> None:
        task_id = values['task_id']
        is_own_task = _is_own(task_id, request)
        # This message expired, or its process was lost. The copy of it that runs here did not.
        if is_own_task and task_id in active():
            raise Dropped('another copy of it runs in this worker')
        # A task may have been cancelled that was to follow one that fails: the others are failed nevertheless.
        was_sent = is_own_task and not was_not_sent(request)
        runs = 0 if values['status'] == states.FAILURE and not was_sent else None
        is_stored = statements.store(connection, values, identity.name(), is_own_task, runs)
        if not is_stored and not was_not_sent(request):
            raise Dropped('it has ended, or runs on another worker, or its row belongs to another role')

    # Celery goes on after each of these as if the state were stored: with callbacks, with the rest of the chain.

    def mark_as_done(self, task_id: str, *args: Any, **options: Any) -> None:
        """Store that a task succeeded, unless its run has lost its claim."""
        with _logging_what_is_dropped(task_id):
            super().mark_as_done(task_id, *args, **options)

    def mark_as_failure(
        self, task_id: str, exc: Any, traceback: Any = None, request: Any = None, **options: Any
    ) -> None:
        """Store that a task failed, and fail what depends on it, unless its run has lost its claim."""
        claim = answer(request) if _is_own(task_id, request) else None
        # A worker may die when it has stored the failure, and before it has told others.
        telling = claim if isinstance(claim, Claim) and (request.errbacks or request.chain) else None
        if telling is not None:
            request.toolbox_claim = Telling(telling.runs)
        with _logging_what_is_dropped(task_id):
            super().mark_as_failure(task_id, exc, traceback, request, **options)
            if telling is not None:
                self.release(task_id, telling)

    def mark_as_retry(self, task_id: str, *args: Any, **options: Any) -> None:
        """Store that a task is retried, unless the retry has started."""
        with _logging_what_is_dropped(task_id):
            super().mark_as_retry(task_id, *args, **options)

    def mark_as_revoked(self, task_id: str, *args: Any, **options: Any) -> None:
        """Store that a task was revoked, unless it has ended or runs elsewhere."""
        with _logging_what_is_dropped(task_id):
            super().mark_as_revoked(task_id, *args, **options)

    def described(self, **options: Any) -> dict[str, Any]:
        """Describe a state of a task, with its time in UTC, and without characters that no database accepts."""
        meta = super().described(**options)
        if options.get('format_date') is False and meta['date_done'] is not None:
            # The column has no time zone: a driver would turn it into that of the session.
            meta['date_done'] = meta['date_done'].astimezone(UTC).replace(tzinfo=None)
        for name in ('traceback', 'name', 'worker', 'queue'):
            if isinstance(meta.get(name), str):
                # The table has room for as much of a name.
                meta[name] = storable(meta[name])[: None if name == 'traceback' else ID_LENGTH]
        return meta

    # Claims

    def can_claim(self) -> bool:
        """Tell whether the database has what claims need.

        :raises sqlalchemy.exc.DBAPIError: where the database cannot be reached.
        """
        return self._claiming_statements() is not None

    def renew(self, task_ids: set[str]) -> set[str]:
        """Renew the leases of tasks that this worker runs.

        :param task_ids: their ids.
        :returns: the ids of those that were cancelled.
        :raises sqlalchemy.exc.DBAPIError: where the database cannot be reached.
        """
        statements = self._claiming_statements()
        if statements is None:
            return set()
        worker = identity.name()
        with self._engine.connect() as connection:
            others = task_ids - statements.renew(connection, task_ids, worker, LEASE)
            return statements.cancelled(connection, others, worker) if others else set()

    def release(self, task_id: str, claim: Claim) -> None:
        """Give up the claim of a run, if the database is there: otherwise its lease ends by itself."""
        statements = self._claiming_statements()
        with suppress(DBAPIError), self._engine.connect() as connection:
            if statements is not None:
                statements.release(connection, task_id, identity.name(), claim)

    def disown(self, task_id: str, claim: Claim) -> None:
        """Let a worker of another role claim a task that is about to be replaced."""
        with waiting.outside_limits():
            self.retried(self._disown, task_id, claim)

    def _disown(self, task_id: str, claim: Claim) -> None:
        statements = self._claiming_statements()
        assert statements is not None  # noqa: S101  # otherwise nobody has a claim
        with self._engine.connect() as connection:
            statements.disown(connection, task_id, identity.name(), claim)

    @property
    def _engine(self) -> sa.Engine:
        return engine(self.url, self.engine_options, self.session_manager.engine_callback)

    @property
    def _tables(self) -> tuple[sa.Table, sa.Table]:
        conf = self.app.conf
        return result_tables(conf.database_table_names or {}, conf.database_table_schemas or {})

    def _is_foreign(self, task_id: str) -> bool:
        table, _ = self._tables
        with self._engine.connect() as connection:
            if ROLE not in present_columns(connection, table):
                return False
            query = text(_IS_FOREIGN, insert_parts(table, connection.dialect))
            return bool(connection.scalar(query, {'task_id': task_id}))

    @property
    def _columns(self) -> tuple[str, ...]:
        return (*_COLUMNS, *_EXTENDED_COLUMNS) if self.extended_result else _COLUMNS

    def _claiming_statements(self) -> Statements | None:
        if not self._is_probed:
            self._statements = self._probe() if self.app.conf.get('RUN_ONCE') else None
            self._is_probed = True
        return self._statements

    def _probe(self) -> Statements | None:
        tables = self._tables
        if self._engine.dialect.name not in ('postgresql', 'sqlite'):
            return None
        statements = Statements(tables[0], self._engine.dialect, self._columns)
        with self._engine.connect() as connection:
            try:
                statements.probe(connection)
            except (ProgrammingError, OperationalError) as error:
                try:
                    present = present_columns(connection, tables[0])
                except NoSuchTableError:
                    # As Celery does, the first who stores a result makes the tables. Who may not do so waits for them.
                    with suppress(DBAPIError, NotAllowed):
                        tables[0].metadata.create_all(connection)
                        return statements
                    raise error from None
                if present.issuperset(COLUMNS):
                    raise
                return None
        return statements


@contextmanager
def _logging_what_is_dropped(task_id: str) -> Iterator[None]:
    try:
        yield
    except Dropped as error:
        logger.warning('A state of task %s is not stored: %s', task_id, error)


def _refuses_producer(error: BaseException) -> bool:
    return (
        isinstance(error, DBAPIError)
        and error.statement is None
        and identity.name() is None
        and fault_of(error) is Fault.REFUSED
    )


def _is_own(task_id: str, request: Any) -> bool:
    return request is not None and getattr(request, 'id', None) == task_id


def _is_start(task_id: str, state: str, request: Any) -> bool:
    return (
        state == states.STARTED
        and _is_own(task_id, request)
        and answer(request) is None
        and identity.name() is not None
    )
