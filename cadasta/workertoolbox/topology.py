"""The exchange, its queues and bindings, and the router that has every message declare them.

On Amazon SQS and other virtual transports a binding lives only in the memory of the connection that declared it. A
producer whose connection declared nothing would publish without an error, and the message would be gone. So every route
carries a `Declaration`: kombu declares the work queue and the platform queue on the connection that publishes, once for
each connection, before the first message that needs them.
"""

import threading
from collections.abc import Iterable, Mapping, MutableMapping
from contextlib import nullcontext
from time import monotonic
from typing import Any
from weakref import WeakKeyDictionary

from celery.exceptions import QueueNotFound
from kombu import Exchange, Queue
from kombu.abstract import MaybeChannelBound

from .architecture import key_of as key_of
from .errors import SettingError
from .seams.celery_routes import OwnRoutes
from .seams.forks import after_fork
from .seams.kombu_virtual import group_in_fifo_queues_only, shares_bindings

_SHOWN_QUEUES = 20

#: A producer declares queues and bindings of RabbitMQ again after this time, in seconds. Somebody may have deleted
#: them, and RabbitMQ does not tell a producer.
RENEWAL = 10.0
# By connection: when it has declared what. A connection that is opened again declares anew.
_declared: MutableMapping[Any, dict[int, float]] = WeakKeyDictionary()

# The memory and filesystem transports share one table of bindings between the threads of a process and do not guard it:
# a second thread could find a binding noted that is not yet in force.
_declaring = threading.Lock()


def _renew_lock() -> None:
    global _declaring
    _declaring = threading.Lock()


# A child that was forked while another thread declared would wait for that thread for ever.
after_fork(_renew_lock)


def bindings_of(queue: Queue) -> list[tuple[Exchange, str]]:
    """Give the exchanges to which a queue binds itself, each with the routing key.

    >>> [(exchange.name, key) for exchange, key in bindings_of(Queue('export', Exchange('tasks'), routing_key='key'))]
    [('tasks', 'key')]
    """
    if queue.bindings:
        return [(binding.exchange, binding.routing_key or '') for binding in queue.bindings]
    return [(queue.exchange, queue.routing_key)]


class WorkQueue(Queue):
    """A work queue. A producer that declares it declares the platform queue as well.

    It takes the parameters of `kombu.Queue`, and

    :param platform: the platform queue.

    >>> exchange = Exchange('task_exchange', 'topic')
    >>> platform = Queue('platform.fifo', exchange, routing_key='#')
    >>> queue = WorkQueue('export', exchange, routing_key='export', platform=platform)
    >>> queue == Queue('export', exchange, routing_key='export')
    True
    """

    attrs = (*Queue.attrs, ('platform', None))
    #: The topology that made it. A copy of a queue has none.
    topology: 'Topology | None' = None

    def declare(self, nowait: bool = False, channel: Any = None) -> str:
        """Declare this queue with its exchange and bindings. For a producer, declare the platform queue first.

        :param channel: the channel of a producer. kombu's consumers give none: they declare on the channel that the
            queue is bound to.
        """
        # On Amazon SQS, kombu puts the message of a consumer back into every queue that its connection has bound. The
        # platform queue would refuse the receipt of another queue.
        for_producer, channel = channel is not None, channel or self.channel
        with _declaring if shares_bindings(channel) else nullcontext():
            if for_producer:
                self.platform.declare(nowait=nowait, channel=channel)
            name: str = super().declare(nowait=nowait, channel=channel)
        return name


class Declaration(MaybeChannelBound):
    """A work queue as an entity for the ``declare`` argument of `kombu.Producer.publish`.

    A `kombu.Queue` has three disadvantages there. kombu remembers by the hash of an entity whether a connection has
    declared it, and apps with the same broker URL share their connections: the hash of this entity tells apart queues
    of one name on different exchanges. kombu copies the entity for each message: this one is cheap to copy. kombu
    declares an entity on one channel of a connection only, but every channel has to serve the platform queue first:
    this one is declared for each message, and looks up by itself whether there is anything to do.

    :param queue: the queue.
    :param grouped: whether messages published with it get a ``MessageGroupId``.
    :param fair: whether standard queues get the ``MessageGroupId`` as well as FIFO queues.

    >>> from kombu import Connection
    >>> exchange = Exchange('declaration_exchange', 'topic')
    >>> platform = Queue('declaration.fifo', exchange, routing_key='#')
    >>> declaration = Declaration(WorkQueue('declaration', exchange, routing_key='key', platform=platform))
    >>> with Connection('memory://') as connection, connection.Producer() as producer:
    ...     producer.publish({}, exchange='declaration_exchange', routing_key='key', declare=[declaration])
    ...     connection.default_channel.queue_declare('declaration.fifo').message_count
    1
    """

    can_cache_declaration = False

    def __init__(self, queue: WorkQueue, grouped: bool = False, fair: bool = False) -> None:
        self.queue = queue
        self.grouped = grouped
        self.fair = fair
        self.name = queue.name
        # Receivers of Celery's signals expect queues among what is declared, and ask each for its exchange.
        self.exchange = queue.exchange
        self._hash = hash(
            tuple(
                (queue.name, queue.exchange and (queue.exchange.name, queue.exchange.type), queue.routing_key)
                for queue in (queue, queue.platform)
            )
        )

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other

    def __copy__(self) -> 'Declaration':
        copied = object.__new__(type(self))
        copied.__dict__.update(self.__dict__)
        return copied

    def __reduce__(self) -> Any:
        return type(self), (self.queue, self.grouped, self.fair)

    def declare(self, nowait: bool = False, channel: Any = None) -> str:
        """Declare the queue and the platform queue on a channel, once for its connection."""
        channel = channel or self.channel
        platform = self.queue.platform.name
        # RabbitMQ has no such attribute: it does the routing itself.
        exchange_types = getattr(channel, 'exchange_types', None)
        if exchange_types is not None and platform not in getattr(exchange_types['topic'], 'platforms', ()):
            from .order import serve_first

            serve_first(channel, platform, (to.name for to, key in bindings_of(self.queue.platform) if key == '#'))
        if self.grouped and not self.fair:
            group_in_fifo_queues_only(channel)
        connection = channel.connection.client
        times = _declared.setdefault(connection, {})
        # On other brokers it is seen at once if a binding is missing.
        is_old = exchange_types is None and monotonic() - times.get(self._hash, 0) > RENEWAL
        if is_old or self._hash not in connection.declared_entities:
            self.queue.declare(nowait=nowait, channel=channel)
            connection.declared_entities.add(self._hash)
            times[self._hash] = monotonic()
        name: str = self.name
        return name


class Refusal(MaybeChannelBound):
    """An entity for the ``declare`` argument of `kombu.Producer.publish` that keeps the message from being published.

    :param error: what the producer raises.
    """

    attrs = (('error', None),)
    can_cache_declaration = False
    name = 'refusal'

    def declare(self, nowait: bool = False, channel: Any = None) -> str:
        """Raise the error."""
        error: Exception = self.error
        raise error


class Topology:
    """One topic exchange, the work queues bound to it by their names, and the platform queue bound to everything.

    :param exchange: the topic exchange.
    :param queues: the value of ``task_queues``: the queues, the platform queue among them.
    :param platform: the name of the platform queue.
    :param create_missing: whether a routing key that no queue serves gets a queue of its own.
    :param grouped: whether messages get a ``MessageGroupId``, as on Amazon SQS.
    :param fair: whether standard queues get the ``MessageGroupId`` as well as FIFO queues.
    :param missing_arguments: the ``queue_arguments`` of such a queue.
    :param routes: the app's own routes, as Celery's ``task_routes`` takes them. They choose the queue of a task before
        its name does.
    :raises SettingError: where two queues have one name, or serve one routing key, or where the routes are no routes.

    >>> exchange = Exchange('task_exchange', 'topic')
    >>> topology = Topology(exchange, [Queue('export', exchange, routing_key='export')], 'platform.fifo')
    >>> route = topology.route('export.project', (), {}, {})
    >>> route['queue'].name, route['routing_key']
    ('export', 'export')
    """

    def __init__(
        self,
        exchange: Exchange,
        queues: Iterable[Queue] | Mapping[str, Any],
        platform: str,
        create_missing: bool = False,
        grouped: bool = False,
        fair: bool = False,
        missing_arguments: Mapping[str, Any] | None = None,
        routes: Any = None,
    ) -> None:
        self.exchange = exchange
        self._own_routes = _own_routes(routes)
        self._missing_arguments = missing_arguments
        self.create_missing = create_missing
        self.grouped = grouped
        self.fair = fair
        by_name = _by_name(queues)
        self.platform = _completed(by_name.pop(platform, Queue(platform)), exchange, '#')
        self._keys: dict[str, str] = {}
        self._routes: dict[str, tuple[WorkQueue, Declaration]] = {}
        # Queues with bindings or an exchange of their own. Each key is the routing key of the tasks that are sent to
        # the queue by name, and of their retries.
        self._others: dict[str, Queue] = {}
        #: All queues, as the value for ``task_queues``.
        self.queues = {self.platform, *(self._bound(queue) for queue in by_name.values())}

    def __repr__(self) -> str:
        names = ', '.join(sorted(queue.name for queue in self.queues))
        return f'<Topology {self.exchange.name} ({self.exchange.type}): {names}>'

    def route(
        self,
        name: str,
        args: Any,
        kwargs: Any,
        options: dict[str, Any],
        task: Any = None,
        **kw: Any,
    ) -> dict[str, Any]:
        """Route a task: the function for Celery's ``task_routes``.

        The destination is the first of these that is there: that which the options name; that which the app's own
        routes choose; the part of the task's name before the first dot.

        :param name: the name of the task.
        :param args: its arguments, for the app's own routes.
        :param kwargs: its keyword arguments, for them as well.
        :param options: the options of the call, of the task, or of a retried message. Among them, a ``routing_key``
            comes before a ``queue``. The router removes an ``exchange``: a message to another exchange would not reach
            the platform.
        :param task: the task itself, for the app's own routes.
        :returns: ``queue``, ``exchange``, ``routing_key`` and ``declare``, and what else the app's own routes chose.
        :raises celery.exceptions.QueueNotFound: where no work queue serves the routing key.
        """
        chosen = {} if self._own_routes is None else self.chosen(name, args, kwargs, options, task)
        options.pop('exchange', None)
        is_chosen = bool(chosen) and not _names_destination(options) and _names_destination(chosen)
        destination = chosen if is_chosen else options
        key = destination.get('routing_key')
        if key is None:
            queue = destination.get('queue')
            key = name.partition('.')[0] if queue is None else self._key_for(queue)
        found = self._routes.get(key) or self._missing(name, key, 'routing_key' in destination, is_chosen)
        work_queue, declaration = found
        if options.get('declare') is not None:
            options['declare'] = [*options['declare'], declaration]
        routed = {'queue': work_queue, 'exchange': self.exchange, 'routing_key': key, 'declare': [declaration]}
        if chosen:
            return {**chosen, **routed, 'declare': [*(chosen.get('declare') or ()), declaration]}
        return routed

    def chosen(
        self, name: str, args: Any = (), kwargs: Any = None, options: dict[str, Any] | None = None, task: Any = None
    ) -> dict[str, Any]:
        """Tell what the app's own routes choose for a task.

        :returns: the options that the first route chose that knows the task. They are empty where none does.

        >>> topology = Topology(Exchange('tasks', 'topic'), [Queue('export')], 'platform', routes={'old.*': 'export'})
        >>> topology.chosen('old.project'), topology.chosen('export.project')
        ({'queue': 'export'}, {})
        """
        if self._own_routes is None:
            return {}
        return self._own_routes.chosen(name, args, kwargs or {}, {} if options is None else options, task)

    def declaration(self, name: str, key: str) -> Declaration:
        """Give what has to be declared before a message with this routing key is published.

        :param name: the name of the task, for the error.
        :param key: the routing key.
        :raises celery.exceptions.QueueNotFound: where no work queue serves it.
        """
        return (self._routes.get(key) or self._missing(name, key, True, False))[1]

    def _key_for(self, queue: Queue | str) -> str:
        name = queue if isinstance(queue, str) else queue.name
        if name == self.platform.name:
            return name
        key = self._keys.get(name)
        if key is None:
            key = key_of(name)
            # The app's own routes give a name where Celery gives the queue of a call.
            named = queue if isinstance(queue, Queue) else self._others.get(key)
            if named is not None and named.name == name and key not in self._routes:
                self._adopt(key, named)
        return key

    def _adopt(self, key: str, queue: Queue) -> tuple[WorkQueue, Declaration]:
        return self._serve(key, _work_queue(queue, self.platform, exchange=self.exchange, routing_key=key))

    def _missing(self, name: str, key: str, is_key: bool, is_chosen: bool) -> tuple[WorkQueue, Declaration]:
        other = self._others.get(key) if is_key else None
        if other is not None:
            return self._adopt(key, other)
        if key == self.platform.name:
            raise QueueNotFound(
                f'Task {name!r} was not sent: {key!r} is the platform queue, which no worker consumes. It gets a copy '
                'of every message by itself. Send the task to a work queue.'
            )
        if self.create_missing:
            return self._serve(
                key,
                WorkQueue(
                    key, self.exchange, routing_key=key, platform=self.platform, queue_arguments=self._missing_arguments
                ),
            )
        known = sorted(self._keys)
        more = f' and {len(known) - _SHOWN_QUEUES} more' if len(known) > _SHOWN_QUEUES else ''
        raise QueueNotFound(
            f'Task {name!r} was not sent: no work queue serves its routing key {key!r}'
            f'{", which task_routes chose" if is_chosen else ""}. '
            f'The work queues are {", ".join(known[:_SHOWN_QUEUES])}{more}. '
            f"Add {key!r} to the QUEUES of this app's Config, or "
            f'{"let task_routes choose" if is_chosen else "send the task with queue= or routing_key= of"} one of these.'
        )

    def _bound(self, queue: Queue) -> Queue:
        queue = _completed(queue, self.exchange, key_of(queue.name))
        if queue.bindings or queue.exchange != self.exchange:
            self._others[key_of(queue.name)] = queue
            return queue
        key = queue.routing_key
        if key in self._routes:
            raise SettingError(
                f'Queues {self._routes[key][0].name!r} and {queue.name!r} both serve the routing key {key!r}: '
                'each of its tasks would run twice. Rename one of them, or leave it out.'
            )
        return self._serve(key, _work_queue(queue, self.platform))[0]

    def _serve(self, key: str, queue: WorkQueue) -> tuple[WorkQueue, Declaration]:
        queue.topology = self
        self._keys[queue.name] = key
        return self._routes.setdefault(key, (queue, Declaration(queue, self.grouped, self.fair)))


def _own_routes(routes: Any) -> OwnRoutes | None:
    try:
        return OwnRoutes(routes) or None
    except (TypeError, ValueError):
        raise SettingError(
            f'task_routes is {routes!r:.200}: it must be a map of names and patterns to queues, a list of pairs of '
            'them, a function, or a list of such routes'
        ) from None


def _names_destination(options: Mapping[str, Any]) -> bool:
    return options.get('routing_key') is not None or options.get('queue') is not None


def _by_name(queues: Iterable[Queue] | Mapping[str, Any]) -> dict[str, Queue]:
    if isinstance(queues, Mapping):
        queues = [
            options if isinstance(options, Queue) else Queue.from_dict(name, **options or {})
            for name, options in queues.items()
        ]
    if not isinstance(queues, Iterable):
        raise SettingError(f'task_queues is {queues!r}: give kombu Queues, or a mapping of names to their options')
    by_name: dict[str, Queue] = {}
    for queue in queues:
        if not isinstance(queue, Queue):
            raise SettingError(
                f'task_queues holds {queue!r}: give kombu Queues, or a mapping of names to their options'
            )
        if queue.name in by_name:
            raise SettingError(
                f'Two queues have the name {queue.name!r}: only one of them would be declared. Leave one of them out.'
            )
        by_name[queue.name] = queue
    return by_name


def _completed(queue: Queue, exchange: Exchange, key: str) -> Queue:
    # Celery would fill in the routing key of the default queue, and this queue would get the tasks of that one as well.
    if not queue.bindings:
        if queue.exchange is None or not queue.exchange.name:
            queue.exchange = exchange
        queue.routing_key = queue.routing_key or key
    return queue


def _work_queue(queue: Queue, platform: Queue, **changes: Any) -> WorkQueue:
    return WorkQueue(**{**queue.as_dict(), 'platform': platform, **changes})
