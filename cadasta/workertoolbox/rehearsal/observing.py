"""Let an app publish into a broker in memory and start its worker, and record what they do."""

import inspect
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, NamedTuple, cast

import mock  # noqa: UP026  # the name by which users know it
from celery import Celery, Task, chord
from celery.app.backends import by_url
from celery.beat import Scheduler, SchedulingError
from kombu import Connection
from sqlalchemy import make_url

from ..apps import stray_app
from ..architecture import CHORD_UNLOCK, DEFAULT_QUEUE
from ..seams.celery_app import app_itself
from ..seams.celery_results import is_database_backend
from ..seams.celery_tasks import accepted, is_shared, own_backend
from ..seams.celery_worker import initialise_worker
from ..settings.parsers import is_dotted
from ..topology import Topology, key_of
from .borrowing import borrowed, disconnect_own_of_workers, redirected
from .memory_broker import Bindings, Broker, Sent
from .own_publishing import replace_own_publishing
from .reading import Code, Timing, read
from .route_errors import RouteError, route_error

#: For each queue, the rehearsal sends a task that is named by the queue's key, a dot and this word. No app has such a
#: task, so it stands for a task of another codebase.
PROBE = 'functional_test'


@dataclass
class Attempt:
    """An attempt to publish something.

    :param sent: the messages that were sent.
    :param error: the error, if one was raised.
    :param route_error: the kind of error, if a route of the app has raised it.
    """

    sent: list[Sent]
    error: Exception | None = None
    route_error: RouteError | None = None


class Message(NamedTuple):
    """An attempt to send a message for a work queue.

    :param attempt: the attempt.
    :param queue: the work queue that it should reach. With `None`, it may reach any one work queue.
    """

    attempt: Attempt
    queue: str | None


class SQSName(NamedTuple):
    """The name of a queue in Amazon SQS, with and without the prefix."""

    name: str
    bare: str


class ResultOptions(NamedTuple):
    """The options of a task that concern its results.

    :param ignore_result: whether the worker leaves its results out of the backend.
    :param track_started: whether the worker stores its start.
    :param own_backend: the backend of this task, or `None` if the task uses the backend of its app.
    :param is_celerys: whether the task is one of those that Celery gives to each app.
    """

    ignore_result: bool
    track_started: bool
    own_backend: Any
    is_celerys: bool


@dataclass
class Worker:
    """A worker with default options that has initialised itself."""

    consumes: list[str] = field(default_factory=list)
    chord_unlock_retries: Any = None
    error: BaseException | None = None


@dataclass
class Observations:
    """The observations of an app, by which the rules judge it."""

    platform_queue: str
    bindings: Bindings
    queues: frozenset[str]
    architecture: list[str]
    default_queue: str
    default_exchange: str
    default_exchange_type: str
    eager: bool
    #: The name of the app that a new thread would publish by, if that is an app without a `Config`.
    stray: str | None
    backend: Any
    #: Whether workers claim each task before they run it.
    claims: bool
    #: The messages for each work queue, by the way of sending.
    messages: dict[str, dict[str, Message]]
    tasks: dict[str, Attempt]
    #: The messages of each task that are sent to another queue than its own, by the way of sending.
    elsewhere: dict[str, dict[str, Message]]
    result_options: dict[str, ResultOptions]
    beat: dict[str, Attempt]
    chords: dict[str, Attempt]
    #: The kind of broker that a URL names, and the kind that the app takes it for, by the setting that has the URL.
    transports: dict[str, tuple[str, str]]
    #: The name of each queue in Amazon SQS, or the error that kombu raised instead. Empty for an app on another broker.
    sqs: dict[str, SQSName | Exception]
    worker: Worker | None
    code: Code
    #: The methods of the app's own that were not called, each with the tasks that have it.
    not_called: dict[str, list[str]]
    #: The app's own receivers that were not called, by the signal of a worker that they wait for.
    spared: dict[str, list[str]]

    @property
    def own_tasks(self) -> list[str]:
        """The names of the tasks that are not Celery's."""
        return [name for name, options in self.result_options.items() if not options.is_celerys]


def observe(
    app: Celery,
    is_worker: bool,
    platform_queue: str,
    called_with_queue: Collection[str] = (),
    calls_receivers: bool = True,
) -> Observations:
    """Publish every task, beat entry and chord of an app, initialise its worker, and undo all changes to the app.

    :param app: the app, with its task modules imported.
    :param is_worker: whether to initialise a worker.
    :param platform_queue: the name of the platform queue.
    :param called_with_queue: patterns of the names of tasks whose every call names a queue.
    :param calls_receivers: whether to call the app's own receivers of the signals that a worker sends when it
        initialises itself. Those of an app without a `Config` are called anyway, because they may set it up.
    :returns: the observations.
    """
    app = app_itself(app)
    broker = Broker()
    eager = app.conf.task_always_eager
    stray = stray_app(app)
    with borrowed(app):
        queues = dict(app.amqp.queues)
        exchange = app.amqp.default_exchange.name
        names = _architecture(app, exchange, platform_queue)
        work_queues = [name for name in names if name != platform_queue]
        tasks = {name: task for name, task in app.tasks.items() if _is_own(app, task)}
        own_tasks = {name: task for name, task in tasks.items() if not _is_celerys(task)}
        code = read(app, own_tasks)
        _take_off_bad_limits(app)
        not_called = replace_own_publishing(app, own_tasks)
        spared = disconnect_own_of_workers() if is_worker and code.has_config and not calls_receivers else {}
        named = [name for name in tasks if any(fnmatchcase(name, pattern) for pattern in called_with_queue)]
        sqs = _sqs_names(app)
        transports = dict(_transports(app))
        with redirected(app, broker):
            sent = {
                name: _task(broker, task, **({'queue': work_queues[0]} if name in named else {}))
                for name, task in tasks.items()
            }
            return Observations(
                platform_queue=platform_queue,
                # The order is fixed: kombu refuses the second of two queues that declare one exchange differently, and
                # every run must report the same one.
                bindings=Bindings(queue for _, queue in sorted(queues.items())),
                queues=frozenset(queues),
                architecture=names,
                default_queue=app.conf.task_default_queue,
                default_exchange=exchange,
                default_exchange_type=app.amqp.default_exchange.type,
                eager=eager,
                stray=stray and repr(stray.main),
                backend=_backend(app),
                claims=bool(app.conf.get('RUN_ONCE')),
                messages=_messages(app, broker, work_queues),
                tasks=sent,
                elsewhere={
                    name: _elsewhere(broker, task, sent[name], [name for name in work_queues if name in queues])
                    for name, task in tasks.items()
                },
                result_options={name: _result_options(task) for name, task in tasks.items()},
                beat={name: _beat_entry(app, broker, entry) for name, entry in app.conf.beat_schedule.items()},
                chords={name: _chord(app, broker, name) for name in work_queues},
                transports=transports,
                sqs=sqs,
                # This comes last, because the initialisation of a worker may change the app.
                worker=_worker(app, broker) if is_worker else None,
                code=code,
                not_called=not_called,
                spared=spared,
            )


def _architecture(app: Celery, exchange: str, platform_queue: str) -> list[str]:
    """Name the queues that the architecture demands of this app."""
    named = app.conf.get('QUEUES')
    if named is None or not all(isinstance(name, str) for name in named):
        # No Config has configured this app. Its queues are those that declare the default exchange.
        named = [queue.name for queue in app.amqp.queues.values() if queue.exchange and queue.exchange.name == exchange]
    return list(dict.fromkeys([DEFAULT_QUEUE, platform_queue, *named]))


def _attempt(broker: Broker, publish: Callable[[], Any]) -> Attempt:
    first = len(broker.sent)
    try:
        publish()
    except Exception as error:
        # Beat wraps the error that it met.
        met = cast(Exception, error.__context__) if isinstance(error, SchedulingError) else error
        return Attempt(broker.sent[first:], met, route_error(met))
    return Attempt(broker.sent[first:])


def _messages(app: Celery, broker: Broker, queues: list[str]) -> dict[str, dict[str, Message]]:
    messages = {}
    for number, queue in enumerate(queues):
        # A route that matches a name must leave alone what is sent to another queue.
        name, other = (f'{key_of(each)}.{PROBE}' for each in (queue, queues[number - 1]))
        by_name = Message(_probe(app, broker, name), None if _is_routed(app, name) else queue)
        messages[queue] = {
            # The name of a queue ends at the first dot of the name of a task.
            **({} if is_dotted(queue) else {f'named {name!r}': by_name}),
            **_named(partial(_probe, app, broker, name), queue, queue),
        }
        if other != name:
            named = _named(partial(_probe, app, broker, other), queue, queue)
            messages[queue].update((f'named {other!r} and {how}', message) for how, message in named.items())
    return messages


def _probe(app: Celery, broker: Broker, name: str, **options: Any) -> Attempt:
    return _attempt(broker, partial(app.send_task, name, (), {}, **options))


def _is_routed(app: Celery, name: str) -> bool:
    """Tell whether the routes that were given to Config choose the queue of a task."""
    topologies = [getattr(route, '__self__', None) for route in app.amqp.routes]
    try:
        chosen = [topology.chosen(name) for topology in topologies if isinstance(topology, Topology)]
        return any('queue' in route or 'routing_key' in route for route in chosen)
    except Exception:
        # The attempt to send such a task shows the error.
        return False


def _elsewhere(broker: Broker, task: Task, sent: Attempt, queues: list[str]) -> dict[str, Message]:
    """Send a task to another queue than its own, and retry it from there."""
    other = next((queue for queue in queues if sent.sent and queue not in sent.sent[-1].queues), None)
    if other is None:
        return {}
    # The routing key of a task comes before the queue that its caller names.
    has_key = getattr(task, 'routing_key', None) is not None
    return _named(partial(_task, broker, task), other, None if has_key else other)


def _named(attempt: Callable[..., Attempt], queue: str, expected: str | None) -> dict[str, Message]:
    """Send a task with ``queue=``, and retry it from there."""
    named = attempt(queue=queue)
    messages = {f'sent with queue={queue!r}': Message(named, expected)}
    if named.sent:
        messages['retried from there'] = Message(attempt(**_retry_options(named.sent[-1])), expected)
    return messages


def _retry_options(sent: Sent) -> dict[str, Any]:
    """Tell how Celery addresses a retry: it uses the exchange and routing key of the message that is retried."""
    if not sent.exchange:
        return {'queue': sent.routing_key}
    return {'exchange': sent.exchange, 'routing_key': sent.routing_key}


def _is_own(app: Celery, task: Task) -> bool:
    """Tell whether a task belongs to this app: Celery registers each task in all apps of a process."""
    defined = vars(sys.modules.get(task.__module__, sys)).get(type(task).__name__)
    if is_shared(defined) or not isinstance(defined, Task) or defined.name != task.name:
        return True
    return bool(defined.app is app)


def _task(broker: Broker, task: Task, **options: Any) -> Attempt:
    attempts = []
    for args, kwargs in _arguments(task):
        attempts.append(_attempt(broker, partial(task.apply_async, args, kwargs, **options)))
        if attempts[-1].sent and not attempts[-1].error:
            return attempts[-1]
    return attempts[0]


def _arguments(task: Task) -> Iterator[tuple[list[None], dict[str, None]]]:
    """Make up arguments that fit a task's signature: first by keyword where possible, then by position."""
    required = [parameter for parameter in accepted(task).parameters.values() if parameter.default is parameter.empty]
    by_keyword = {parameter.name: None for parameter in required if parameter.kind in _BY_KEYWORD}
    yield [None for parameter in required if parameter.kind is inspect.Parameter.POSITIONAL_ONLY], by_keyword
    by_name_alone = [parameter.name for parameter in required if parameter.kind is inspect.Parameter.KEYWORD_ONLY]
    yield [None for parameter in required if parameter.kind in _BY_POSITION], dict.fromkeys(by_name_alone)


_BY_KEYWORD = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_BY_POSITION = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY)


def _result_options(task: Task) -> ResultOptions:
    return ResultOptions(
        task.ignore_result,
        task.track_started,
        own_backend(task),
        is_celerys=_is_celerys(task),
    )


def _is_celerys(task: Task) -> bool:
    return bool(task.__module__.startswith('celery.'))


def _take_off_bad_limits(app: Celery) -> None:
    """Take off the time limits with which Celery would send no task. Rule 10 names each."""
    for task in app.tasks.values():
        timing = Timing({}, task.soft_time_limit, task.time_limit)
        if timing.is_contradictory or timing.no_numbers:
            task.soft_time_limit = task.time_limit = None


def _beat_entry(app: Celery, broker: Broker, entry: Any) -> Attempt:
    def publish() -> None:
        fields = dict(entry)
        options = dict(fields.get('options') or {})
        if 'headers' in options:
            # Beat adds headers to this dictionary, so it gets a copy.
            options['headers'] = dict(options['headers'])
        scheduler = Scheduler(app, lazy=True)
        scheduler.apply_async(scheduler.Entry(**{**fields, 'options': options, 'name': '', 'app': app}), advance=False)

    attempt = _attempt(broker, publish)
    if attempt.route_error is RouteError.MADE_UP_ARGUMENTS:
        # Nobody made up the arguments of an entry.
        attempt.route_error = None
    return attempt


def _chord(app: Celery, broker: Broker, queue: str) -> Attempt:
    body = app.signature(f'{key_of(queue)}.{PROBE}', options={'queue': queue} if is_dotted(queue) else None)
    header = [app.signature(f'{DEFAULT_QUEUE}.{PROBE}') for _ in range(2)]
    attempt = _attempt(broker, chord(header, body, app=app).apply_async)
    unlock = app.tasks[CHORD_UNLOCK]
    for sent in [sent for sent in attempt.sent if sent.headers.get('task') == unlock.name]:
        # A worker retries this task until all tasks of the header are done.
        retry = _attempt(broker, partial(unlock.apply_async, ('', body), **_retry_options(sent)))
        attempt = Attempt(
            attempt.sent + retry.sent, attempt.error or retry.error, attempt.route_error or retry.route_error
        )
    return attempt


def _backend(app: Celery) -> Any:
    try:
        backend, url = by_url(app.backend_cls or app.conf.result_backend, app.loader)
        url = url or app.conf.database_url
        if url and is_database_backend(backend):
            # SQLAlchemy raises an error here for a URL whose dialect it does not know. It does not import the driver.
            make_url(url).get_dialect()
        return backend
    except Exception as error:
        return error


def _transports(app: Celery) -> Iterator[tuple[str, tuple[str, str]]]:
    settings = {'broker_read_url': app.connection_for_read, 'broker_write_url': app.connection_for_write}
    for name, connection in settings.items():
        urls = getattr(app.conf, name)
        url = urls[0] if isinstance(urls, (list, tuple)) else urls
        if app.conf.broker_transport and isinstance(url, str) and '://' in url:
            taken_for = connection().get_transport_cls().driver_type
            # A transport of the app's own may have a scheme that kombu does not know.
            with suppress(KeyError):
                yield name, (Connection(url).get_transport_cls().driver_type, taken_for)


def _sqs_names(app: Celery) -> dict[str, SQSName | Exception]:
    """Send a message to each queue by the app's own SQS transport, and record the queue of Amazon SQS that it names."""
    connection = app.connection_for_write()
    transport = connection.get_transport_cls()
    if transport.driver_type != 'sqs':
        return {}
    from ..seams.sqs import bare_name_of

    client = mock.Mock()
    client.list_queues.return_value = {}
    client.create_queue.side_effect = lambda QueueName, **options: {'QueueUrl': f'https://sqs/0/{QueueName}'}  # noqa: N803  # boto3's name
    names: dict[str, SQSName | Exception] = {}
    with mock.patch.object(transport.Channel, 'sqs', return_value=client), connection:
        for queue in app.amqp.queues:
            try:
                with connection.channel() as channel, connection.Producer(channel) as producer:
                    producer.publish({}, routing_key=queue)
                    url = client.send_message.call_args.kwargs['QueueUrl']
                    names[queue] = SQSName(url.rpartition('/')[2], bare_name_of(channel, queue))
            except Exception as error:
                names[queue] = error
    return names


def _worker(app: Celery, broker: Broker) -> Worker:
    worker = Worker()
    try:
        initialise_worker(app)
        with broker.connection() as connection, connection.channel() as channel:
            consumer = app.amqp.TaskConsumer(channel)
            consumer.consume()
            worker.consumes = [queue.name for queue in consumer.queues if consumer.consuming_from(queue)]
    except (Exception, SystemExit) as error:
        worker.error = error
    worker.chord_unlock_retries = app.tasks[CHORD_UNLOCK].max_retries
    return worker
