"""Check that each message of an attempt reaches its work queue and the platform queue, and no other queue."""

from celery.exceptions import QueueNotFound
from kombu.exceptions import EncodeError, SerializerNotInstalled

from ..rehearsal.memory_broker import Sent
from ..rehearsal.observing import Attempt, Observations
from ..rehearsal.route_errors import RouteError
from ..settings.parsers import is_dotted
from ..topology import key_of
from .rule import Violation

#: kombu raises these errors for a message that it cannot serialize. Rule 7 alone judges such a message.
NOT_SERIALIZED = (EncodeError, SerializerNotInstalled)

_UNDECLARED = 'when it is sent on a connection that has declared nothing'
_DECLARE = (
    'Give your routes to Config, as in Config(task_routes=...), and do not set task_routes afterwards: Config declares '
    'what they lead to, and sends a retry to the queue that its message came from.'
)


def misdelivery(seen: Observations, where: str, attempt: Attempt, queue: str | None = None) -> Violation | None:
    """Find the first message of an attempt that does not reach exactly its work queue and the platform queue.

    :param seen: the observations of the app.
    :param where: the name of the attempt in a failure.
    :param attempt: the attempt.
    :param queue: the work queue that the messages should reach. With `None`, they may reach any one work queue.
    :returns: the violation, or `None` if the messages reach their queues, or rule 3 tells once why they do not.
    """
    if isinstance(attempt.error, NOT_SERIALIZED) or attempt.route_error is RouteError.MADE_UP_ARGUMENTS:
        return None
    if attempt.route_error is RouteError.ALWAYS and type(attempt.error) in errors_of_routes(seen):
        return None
    expected = f'every message reaches exactly its work queue and {seen.platform_queue!r}'
    if attempt.error is not None or not attempt.sent:
        return Violation(expected, where, attempt.error or 'nothing was sent', _advice(seen, attempt.error))
    for sent in attempt.sent:
        if fault := _fault(seen, sent, queue):
            return Violation(expected, where, *fault)
    return None


def errors_of_routes(seen: Observations) -> dict[type[Exception], list[tuple[str, Exception]]]:
    """Collect the errors that the routes of an app raise for its work queues, whatever the arguments of a task are.

    :param seen: the observations of the app.
    :returns: the messages that were not sent, each with its error, by the kind of error.
    """
    errors: dict[type[Exception], list[tuple[str, Exception]]] = {}
    for queue, messages in seen.messages.items():
        for how, message in messages.items():
            error = message.attempt.error
            if error is not None and message.attempt.route_error is RouteError.ALWAYS:
                errors.setdefault(type(error), []).append((f'a message for {queue!r}, {how}', error))
    return errors


def _fault(seen: Observations, sent: Sent, queue: str | None) -> tuple[str, str] | None:
    everywhere = sent.queues | seen.bindings.reached(sent.exchange, sent.routing_key)
    works = everywhere - {seen.platform_queue}
    message = f'the message to exchange {sent.exchange!r} with routing key {sent.routing_key!r}'
    if seen.platform_queue not in everywhere or len(works) != 1 or queue not in (None, *works):
        return (
            f'{message} reaches {sorted(everywhere) or "no queue"}',
            f'Two queues are bound to this key: {sorted(works)}. Leave one of them out of task_queues, or bind '
            'it to another key.'
            if len(works) > 1
            else 'Send it through the default exchange with the routing key of one work queue: look at the '
            'options queue, exchange and routing_key of the call and of the task. Give routes of your own to Config, '
            'as in Config(task_routes=...): they give way to the queue that a call names.',
        )
    if sent.queues != everywhere:
        return f'{message} reaches {sorted(sent.queues) or "no queue"} of {sorted(everywhere)} {_UNDECLARED}', _DECLARE
    return None


def _advice(seen: Observations, error: Exception | None) -> str:
    if isinstance(error, QueueNotFound):
        keys = ', '.join(repr(key_of(queue)) for queue in seen.messages if not is_dotted(queue))
        return (
            'Add the queue to QUEUES of Config, name the task after one of the queues (a name that starts with '
            f'one of {keys} and a dot), or let task_routes of Config choose one of them.'
        )
    return 'Mend what the error names: options of the task or of the call, routers in task_routes, or apply_async.'
