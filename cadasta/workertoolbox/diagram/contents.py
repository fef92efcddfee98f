"""The contents of a diagram. To find them, the app sends each of its tasks to a broker in memory."""

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from celery import Celery
from celery.exceptions import QueueNotFound

from ..conf import Config
from ..errors import NotConfigured
from ..rehearsal.loading import load
from ..rehearsal.observing import Attempt, Observations, observe
from ..settings.credentials import masked
from ..topology import bindings_of

#: Explains the platform queue to a reader.
PLATFORM_NOTE = 'a copy of every message'


class BoundQueue(NamedTuple):
    """A queue that is bound to an exchange.

    :param name: the queue's name.
    :param called: its name at the broker, which has a prefix on Amazon SQS.
    :param keys: the routing keys that bind it to the exchange.
    :param tasks: the app's tasks that reach it, Celery's own last.
    :param is_platform: whether it is the platform queue, which every task reaches.
    """

    name: str
    called: str
    keys: tuple[str, ...]
    tasks: tuple[str, ...]
    is_platform: bool

    @property
    def caption(self) -> list[str]:
        """The lines that describe the queue; its name is the first."""
        called = [f'({self.called})'] if self.called != self.name else []
        note = [PLATFORM_NOTE] if self.is_platform else []
        return [self.name, *called, *note]


class BoundExchange(NamedTuple):
    """An exchange, its type, and the queues that are bound to it. The platform queue is the last."""

    name: str
    type: str
    queues: tuple[BoundQueue, ...]


class Lost(NamedTuple):
    """A task that reaches no work queue, and the reason with its remedy."""

    task: str
    reason: str


class Diagram(NamedTuple):
    """The exchanges of an app, and its tasks that would be lost. Its texts hold no control characters."""

    exchanges: tuple[BoundExchange, ...]
    lost: tuple[Lost, ...]


def diagram_of(app: Celery) -> Diagram:
    """Find the queue of each task. This opens no connection.

    :param app: an app that is configured by `Config`; its task modules are imported.
    :returns: the diagram.
    :raises NotConfigured: where the app is configured by something else.
    :raises TaskModuleError: where a task module cannot be imported.

    >>> app = Celery('export')
    >>> app.config_from_object(Config(QUEUES=['export']))
    >>> exchange, = diagram_of(app).exchanges
    >>> exchange.name, exchange.type, [(queue.name, queue.keys) for queue in exchange.queues]
    ('task_exchange', 'topic', [('export', ('export',)), ('celery', ('celery',)), ('platform.fifo', ('#',))])
    """
    load(app)
    if not isinstance(app.loader.conf, Config):
        raise NotConfigured(
            f'App {app.main!r} is not configured by a Config, so it has no topology to show. Configure it: '
            'from cadasta.workertoolbox.conf import Config; app.config_from_object(Config(QUEUES=[…])).'
        )
    seen = observe(app, is_worker=False, platform_queue=app.conf.PLATFORM_QUEUE_NAME)
    seen.bindings.close()
    lost = (Lost(_printable(name), _printable(reason)) for name, reason in _lost(app, seen))
    return Diagram(_exchanges(app, seen), tuple(sorted(lost)))


def _exchanges(app: Celery, seen: Observations) -> tuple[BoundExchange, ...]:
    types: dict[str, str] = {}
    keys: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for queue in app.amqp.queues.values():
        for exchange, key in bindings_of(queue):
            types[exchange.name] = exchange.type
            keys[exchange.name][queue.name].append(key)
    tasks: dict[str, set[str]] = defaultdict(set)
    for name, attempt in seen.tasks.items():
        for sent in attempt.sent:
            for reached in sent.queues:
                tasks[reached].add(name)
                # A router may add the queues that are missing.
                if reached not in app.amqp.queues:
                    keys[sent.exchange][reached].append(sent.routing_key)

    def bound(name: str, bound_by: list[str]) -> BoundQueue:
        is_platform = name == app.conf.PLATFORM_QUEUE_NAME
        return BoundQueue(
            _printable(name),
            _printable(getattr(seen.sqs.get(name), 'name', name)),
            tuple(_printable(key) for key in sorted(set(bound_by))),
            () if is_platform else tuple(_printable(task) for task in sorted(tasks[name], key=_celery_last)),
            is_platform,
        )

    def order(name: str) -> tuple[bool, bool, str]:
        return name == app.conf.PLATFORM_QUEUE_NAME, name == app.conf.task_default_queue, name

    return tuple(
        BoundExchange(_printable(name), types[name], tuple(bound(queue, keys[name][queue]) for queue in queues))
        for name in sorted(keys)
        if (queues := sorted(keys[name], key=order))
    )


def _lost(app: Celery, seen: Observations) -> Iterator[tuple[str, str]]:
    for name, attempt in seen.tasks.items():
        reached = frozenset[str]().union(*(sent.queues for sent in attempt.sent))
        if attempt.error is not None or not reached - {app.conf.PLATFORM_QUEUE_NAME}:
            yield name, _reason(attempt)


def _reason(attempt: Attempt) -> str:
    if isinstance(attempt.error, QueueNotFound):
        # QueueNotFound is a KeyError, whose `str` puts the text in quotes.
        return str(attempt.error.args[0])
    if attempt.error is not None:
        return str(masked(f'It cannot be sent: {type(attempt.error).__name__}: {attempt.error}'))
    return 'Its message reaches no work queue. `celery toolbox check` says what to change.'


def _celery_last(task: str) -> tuple[bool, str]:
    return task.startswith('celery.'), task


def _printable(text: str) -> str:
    return ''.join(character if character.isprintable() else '\ufffd' for character in ' '.join(text.split('\n')))
