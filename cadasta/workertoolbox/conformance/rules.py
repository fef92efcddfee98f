"""The nine rules of the architecture, each a test."""

import inspect
import sys
import unittest
from typing import Any, ClassVar

from celery import Celery, Task
from celery.backends.database import DatabaseBackend
from celery.exceptions import QueueNotFound
from kombu.exceptions import EncodeError, SerializerNotInstalled

from ..architecture import CHORD_UNLOCK, DEFAULT_QUEUE, PLATFORM_QUEUE
from ..rehearsal.loading import load
from ..rehearsal.observing import Attempt, Observations, SQSName, observe
from ..settings.credentials import masked
from ..topology import key_of

# Failures are shown without the lines of this file: the message says it all.
__unittest = True

_KEYS = ('one', 'one.two', 'one.two.three', '')
_READABLE = ('application/json',)
_COMPRESSIONS = (None, 'application/x-gzip', 'application/x-bz2', 'application/x-lzma')
_UNREADABLE = (EncodeError, SerializerNotInstalled)


class Rules(unittest.TestCase):
    """Whether an app keeps the rules. The app is watched once, and then judged rule by rule."""

    app: ClassVar[Celery]
    is_worker: ClassVar[bool]
    seen: ClassVar[Observations]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls._take_name()
        load(cls.app)
        cls.seen = observe(cls.app, cls.is_worker)
        cls.addClassCleanup(cls.seen.bindings.close)

    @classmethod
    def _take_name(cls) -> None:
        # What the class is called in its module: reports show it, and the class is found by it in other processes.
        for name, value in vars(sys.modules[cls.__module__]).items():
            if value is cls:
                cls.__name__ = cls.__qualname__ = name

    def __getstate__(self) -> dict[str, Any]:
        # Django's test runner sends tests, and those that failed, from one process to another: but not its own state.
        self._take_name()
        return {name: value for name, value in vars(self).items() if name != '_outcome'}

    def test_rule_1_the_platform_gets_a_copy_of_every_message(self) -> None:
        with self.subTest(setting='task_default_queue'):
            if self.seen.default_queue != DEFAULT_QUEUE:
                self._fail(
                    1,
                    f'the default queue is {DEFAULT_QUEUE!r}',
                    'setting task_default_queue',
                    self.seen.default_queue,
                    f'Leave out task_default_queue, or set it to {DEFAULT_QUEUE!r}.',
                )
        with self.subTest(queue=PLATFORM_QUEUE):
            if PLATFORM_QUEUE not in self.seen.queues:
                self._fail(
                    1,
                    f'the platform queue is {PLATFORM_QUEUE!r}',
                    'setting task_queues',
                    sorted(self.seen.queues),
                    'Configure the app by cadasta.workertoolbox.conf.Config, and leave PLATFORM_QUEUE_NAME to it.',
                )
        keys = [*map(key_of, self.seen.architecture), *_KEYS]
        exchange = self.seen.default_exchange
        missed = [key for key in keys if PLATFORM_QUEUE not in self.seen.bindings.reached(exchange, key)]
        with self.subTest(queue=PLATFORM_QUEUE, bound_to=exchange):
            if missed:
                self._fail(
                    1,
                    'the platform queue gets a copy of every message, whatever its key',
                    f'queue {PLATFORM_QUEUE!r}',
                    f'no copy of messages to exchange {exchange!r} with the routing keys {missed}',
                    f"Bind {PLATFORM_QUEUE!r} to {exchange!r} with routing key '#', as Config does: do not list it in "
                    'task_queues with another key or exchange.',
                )

    def test_rule_2_all_queues_are_bound_to_a_topic_exchange(self) -> None:
        exchange = self.seen.default_exchange
        with self.subTest(exchange=exchange):
            types = {self.seen.default_exchange_type, self.seen.bindings.type_of(exchange) or 'that of no queue'}
            if types != {'topic'}:
                self._fail(
                    2,
                    'the default exchange is a topic exchange',
                    f'exchange {exchange!r} (settings task_default_exchange_type, task_default_exchange, task_queues)',
                    f'declared as {" and ".join(sorted(types))}',
                    "Set task_default_exchange_type to 'topic', and give queues in task_queues the same exchange.",
                )
        for queue in self.seen.architecture:
            with self.subTest(queue=queue):
                if exchange not in self.seen.bindings.exchanges_of(queue):
                    self._fail(
                        2,
                        "all of the architecture's queues are bound to the default exchange",
                        f'queue {queue!r}',
                        self._bound(queue, exchange),
                        f'Name {queue!r} in QUEUES and leave task_queues out, or let task_queues have a Queue of this '
                        f'name on {exchange!r}; leave task_default_exchange alone once Config has been made.',
                    )
        for queue, error in self.seen.bindings.refused.items():
            with self.subTest(queue=queue):
                self._fail(
                    2,
                    'all queues can be declared',
                    f'queue {queue!r}',
                    error,
                    f'Let all queues in task_queues declare exchange {exchange!r} with the same type and options.',
                )

    def test_rule_3_each_queue_gets_its_messages_and_no_other_queue_does(self) -> None:
        for queue, attempts in self.seen.messages.items():
            for how, attempt in attempts.items():
                with self.subTest(queue=queue, message=how):
                    self._check_tracked(3, f'a message for {queue!r}, {how}', attempt, queue)

    def test_rule_4_each_task_is_tracked(self) -> None:
        for name, attempt in self.seen.tasks.items():
            with self.subTest(task=name):
                self._check_tracked(4, f'task {name!r}', attempt)
        for name, attempt in self.seen.beat.items():
            with self.subTest(beat_schedule=name):
                self._check_tracked(4, f'entry {name!r} of setting beat_schedule', attempt)

    def test_rule_5_chords_are_published_and_give_up(self) -> None:
        for queue, attempt in self.seen.chords.items():
            with self.subTest(chord_with_body_in=queue):
                self._check_tracked(5, f'a chord with its body in {queue!r}', attempt)
        with self.subTest(task='celery.chord_unlock'):
            worker = self.seen.worker
            if worker and not worker.error and not _is_count(worker.chord_unlock_retries):
                self._fail(
                    5,
                    'celery.chord_unlock gives up after a whole number of retries',
                    "task 'celery.chord_unlock'",
                    f'max_retries is {worker.chord_unlock_retries!r} once a worker has initialised itself',
                    'Set CHORD_UNLOCK_MAX_RETRIES of Config, and leave max_retries of this task alone. An app that is '
                    'not configured by a Config has to call cadasta.workertoolbox.setup.setup_app itself.',
                )

    def test_rule_6_results_and_starts_are_stored_in_a_database(self) -> None:
        with self.subTest(setting='result_backend'):
            if not _is_database(self.seen.backend):
                self._fail(
                    6,
                    'results go to a database backend',
                    'setting result_backend',
                    self.seen.backend,
                    'Leave result_backend to Config and give RESULT_DB_HOST and so on, or set it to a '
                    "'db+postgresql://…' URL. Look for CELERY_RESULT_BACKEND in the environment as well.",
                )
        for name in self.seen.tasks:
            with self.subTest(task=name):
                self._check_task_results(name, self.app.tasks[name])
        for name, attempt in self.seen.beat.items():
            with self.subTest(beat_schedule=name):
                if any(sent.headers.get('ignore_result') for sent in attempt.sent):
                    self._fail(
                        6,
                        'the result of every task is stored',
                        f'entry {name!r} of setting beat_schedule',
                        'it is sent with ignore_result',
                        "Take ignore_result out of the entry's options.",
                    )

    def test_rule_7_tasks_are_sent_in_a_form_that_the_platform_can_read(self) -> None:
        with self.subTest(setting='task_always_eager'):
            if self.seen.eager:
                self._fail(
                    7,
                    'tasks are really sent',
                    'setting task_always_eager',
                    self.seen.eager,
                    'Take task_always_eager out of the configuration. Tests that want to call a task can call '
                    'task.apply().',
                )
        published = {f'task {name!r}': attempt for name, attempt in self.seen.tasks.items()}
        published |= {f'entry {name!r} of setting beat_schedule': entry for name, entry in self.seen.beat.items()}
        for what, attempt in published.items():
            with self.subTest(what):
                self._check_readable(what, attempt)

    def test_rule_8_queues_on_sqs_have_a_prefix(self) -> None:
        if not self.seen.sqs:
            self.skipTest('The broker of this app is not Amazon SQS.')
        for queue, name in self.seen.sqs.items():
            with self.subTest(queue=queue):
                if isinstance(name, Exception) or not _has_prefix(name):
                    self._fail(
                        8,
                        'queues on Amazon SQS carry a prefix',
                        f'queue {queue!r}',
                        name if isinstance(name, Exception) else f'it is called {name.name!r} in Amazon SQS',
                        "Set QUEUE_NAME_PREFIX of Config, and leave 'queue_name_prefix' in broker_transport_options to "
                        "it. With 'predefined_queues', give every queue, by its name with the prefix, the URL of a "
                        'queue of that name.',
                    )

    def test_rule_9_a_worker_leaves_the_platform_queue_alone(self) -> None:
        worker = self.seen.worker
        if worker is None:
            self.skipTest('No worker is made of this app.')
        rule = 'a worker with default options leaves the platform queue alone'
        if worker.error is not None:
            self._fail(
                9,
                rule,
                'the initialisation of a worker',
                worker.error,
                'Mend what the error names: settings, or receivers of celeryd_init, worker_init and '
                'celeryd_after_setup.',
            )
        if PLATFORM_QUEUE in worker.consumes:
            self._fail(
                9,
                rule,
                'the queues that a worker consumes',
                sorted(worker.consumes),
                'Configure the app by a Config, or call cadasta.workertoolbox.setup.setup_app on worker_init. Let no '
                f'receiver of celeryd_init, worker_init or celeryd_after_setup select {PLATFORM_QUEUE!r}.',
            )

    def _check_tracked(self, number: int, where: str, attempt: Attempt, queue: str | None = None) -> None:
        """Check that each message of an attempt reached its work queue, the platform queue and no other."""
        rule = f'every message reaches exactly its work queue and {PLATFORM_QUEUE!r}'
        # What it is written in is another rule's.
        if isinstance(attempt.error, _UNREADABLE):
            return
        if attempt.error is not None or not attempt.sent:
            self._fail(number, rule, where, attempt.error or 'nothing was sent', self._advice(attempt.error))
        for sent in attempt.sent:
            everywhere = sent.queues | self.seen.bindings.reached(sent.exchange, sent.routing_key)
            works = everywhere - {PLATFORM_QUEUE}
            message = f'the message to exchange {sent.exchange!r} with routing key {sent.routing_key!r}'
            if PLATFORM_QUEUE not in everywhere or len(works) != 1 or queue not in (None, *works):
                self._fail(
                    number,
                    rule,
                    where,
                    f'{message} reaches {sorted(everywhere) or "no queue"}',
                    f'Two queues are bound to this key: {sorted(works)}. Leave one of them out of task_queues, or bind '
                    'it to another key.'
                    if len(works) > 1
                    else 'Send it through the default exchange with the routing key of one work queue: look at the '
                    'options queue, exchange and routing_key of the call and of the task, and at the routers in '
                    'task_routes.',
                )
            if sent.queues != everywhere:
                self._fail(
                    number,
                    rule,
                    where,
                    f'{message} reaches {sorted(sent.queues) or "no queue"} of {sorted(everywhere)} when it is sent on '
                    'a connection that has declared nothing',
                    "Let the router declare what it routes to, as Config's does: leave task_routes to Config, and let "
                    'other routers return nothing but the name of a queue.',
                )

    def _advice(self, error: Exception | None) -> str:
        if isinstance(error, QueueNotFound):
            keys = ', '.join(repr(key_of(queue)) for queue in self.seen.messages)
            return (
                'Add the queue to QUEUES of Config, name the task after one of the queues (a name that starts with '
                f'one of {keys} and a dot), or give the task the option queue.'
            )
        return 'Mend what the error names: options of the task or of the call, routers in task_routes, or apply_async.'

    def _check_task_results(self, name: str, task: Task) -> None:
        where = f'task {name!r}'
        # Celery's own task that waits for a chord has no result.
        if task.ignore_result and name != CHORD_UNLOCK:
            self._fail(
                6,
                'the result of every task is stored',
                where,
                'ignore_result is set',
                'Take ignore_result out of the task, and task_ignore_result out of the configuration.',
            )
        if not task.track_started:
            self._fail(
                6,
                'the start of every task is stored',
                where,
                'track_started is off',
                'Take track_started out of the task, and leave task_track_started to Config.',
            )
        own = _own_backend(task)
        if own is not None and not isinstance(own, DatabaseBackend):
            self._fail(
                6,
                'the result of every task is stored in a database',
                where,
                f'it has a backend of its own: {own!r}',
                "Take the option backend out of the task: it uses the app's then.",
            )

    def _check_readable(self, what: str, attempt: Attempt) -> None:
        rule = 'messages have a serializer that the platform can read without unpickling'
        change = (
            'Take the option serializer out of the task or the call, and task_serializer out of the configuration, or '
            "set them to 'json'."
        )
        if isinstance(attempt.error, _UNREADABLE):
            self._fail(7, rule, what, attempt.error, change)
        for sent in attempt.sent:
            if sent.content_type not in _READABLE:
                self._fail(7, rule, what, f'a message of content type {sent.content_type!r}', change)
            if sent.headers.get('compression') not in _COMPRESSIONS:
                self._fail(
                    7,
                    rule,
                    what,
                    f'a message that is compressed as {sent.headers["compression"]!r}',
                    'Take the option compression out of the task or the call, and task_compression out of the '
                    "configuration, or set them to 'gzip', 'bzip2' or 'lzma'.",
                )

    def _bound(self, queue: str, exchange: str) -> str:
        if queue not in self.seen.queues:
            return f'task_queues has no queue of this name, but {sorted(self.seen.queues)}'
        return f'it is bound to {sorted(self.seen.bindings.exchanges_of(queue)) or "nothing"}, not to {exchange!r}'

    def _fail(self, number: int, rule: str, where: str, seen: Any, change: str) -> None:
        __tracebackhide__ = True
        self.fail(f'Rule {number}: {rule}.\n  Where:  {where}\n  Seen:   {_shown(seen)}\n  Change: {change}')


def _shown(seen: Any) -> Any:
    if isinstance(seen, QueueNotFound):
        # As a KeyError, it would show its text in quotes.
        return f'QueueNotFound: {seen.args[0]}'
    if isinstance(seen, BaseException):
        return masked(f'{type(seen).__name__}: {seen}')
    return masked(seen)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_database(backend: Any) -> bool:
    return isinstance(backend, type) and issubclass(backend, DatabaseBackend)


def _own_backend(task: Task) -> Any:
    # Without an instance given to the task, its property answers with the app's backend, which could connect.
    own = inspect.getattr_static(task, 'backend')
    return task._backend if isinstance(own, property) else own


def _has_prefix(sqs: SQSName) -> bool:
    return sqs.name.endswith(sqs.bare) and sqs.name.removesuffix(sqs.bare).strip('-_') != ''
