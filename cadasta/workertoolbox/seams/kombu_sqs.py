"""kombu: what its transport for Amazon SQS does with the answers of Amazon."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any

from botocore.config import Config  # type: ignore[import-untyped]  # has no types
from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # has no types
from kombu.exceptions import InconsistencyError
from kombu.transport import SQS
from vine import promise

_FIRST_ERROR = 300
# The answer to a call must have this. Without it, nobody knows whether Amazon has done what it was asked for.
_NEEDED = {'CreateQueue': 'QueueUrl', 'SendMessage': 'MessageId'}

#: The transport of kombu.
Transport: type[Any] = SQS.Transport
#: kombu raises this error for a queue that is not there.
NoSuchQueue: type[Exception] = SQS.DoesNotExistQueueException
#: The errors that kombu raises for an answer of Amazon, beside those of `connection_errors` of its transport.
ERRORS: tuple[type[Exception], ...] = (
    ClientError,
    SQS.AccessDeniedQueueException,
    NoSuchQueue,
    InconsistencyError,
)


#: Hears of a message that would be sent: the client, and the arguments of ``send_message``.
Recorder = Callable[[Any, dict[str, Any]], None]


class _RecordingClient:
    def __init__(self, client: Any, recorder: Recorder) -> None:
        self._client = client
        self._recorder = recorder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def send_message(self, **arguments: Any) -> None:
        self._recorder(self._client, arguments)


class AnsweringChannel(SQS.Channel, ABC):
    """A channel that hears of each answer to a call that asks for messages, whatever it is.

    It overrides ``_get_from_sqs``. kombu calls it from the event loop of a worker, and passes over an answer that it
    cannot use: it raises an error that ends the worker, and it never asks for messages of this queue again.

    It overrides ``_new_boto_client`` and ``_size`` as well: boto3 raises no error of its own for an answer that was cut
    off, that is no JSON object, or that lacks what it is about.

    It overrides ``_put``, and ``sqs`` that gives it the client, for a batch of kombu's producer. kombu makes the
    arguments of a call and calls Amazon in one method.
    """

    #: The limits of a client, in seconds, where the transport option ``client-config`` has none.
    timeouts: dict[str, Any] = {}  # noqa: RUF012  # a subclass replaces it

    @abstractmethod
    def answered(self, url: str) -> None:
        """Hear that Amazon has answered.

        :param url: the URL of the queue.
        """

    @abstractmethod
    def refused(self, url: str, error: Exception) -> float:
        """Hear that Amazon has not answered, or has reported an error.

        :param url: the URL of the queue.
        :param error: the error.
        :returns: the seconds after which the worker asks again.
        """

    _recorder: Recorder | None = None

    def sqs(self, queue: Any = None) -> Any:
        """Get the client for a queue. While a message is put into a batch, it sends nothing."""
        client = super().sqs(queue)
        return client if self._recorder is None else _RecordingClient(client, self._recorder)

    def _put(self, queue: str, message: Any, recorder: Recorder | None = None, **kwargs: Any) -> None:
        self._recorder = recorder
        try:
            super()._put(queue, message, **kwargs)
        finally:
            self._recorder = None

    # kombu says nothing of what it returns.
    def _get_from_sqs(self, queue_name: str, queue_url: str, connection: Any, count: int = 1, callback: Any = None):  # type: ignore[no-untyped-def]
        def on_answer(answer: Any) -> None:
            messages = _readable(answer)
            self.answered(queue_url)
            # The loop handles the messages later, so that an error in them is not taken for one of the answer.
            self.hub.call_soon(partial(callback, {'Messages': messages}))

        def on_error(error: Exception) -> None:
            # kombu raises a plain `Exception` for a status, and boto3 raises anything for an answer of another shape.
            if type(error) not in (Exception, InconsistencyError):
                error = InconsistencyError(f'its answer cannot be read ({type(error).__name__}: {error})')
            self.hub.call_later(self.refused(queue_url, error), callback, {})

        return super()._get_from_sqs(
            queue_name, queue_url, connection, count=count, callback=promise(on_answer, on_error=on_error)
        )

    def _new_boto_client(self, *args: Any, config: Any = None, **kwargs: Any) -> Any:
        given = self.transport_options.get('client-config') or {}
        limits = Config(**{name: value for name, value in self.timeouts.items() if name not in given})
        client = super()._new_boto_client(*args, config=limits if config is None else limits.merge(config), **kwargs)
        client.meta.events.register('before-parse.sqs', _refuse_garbage)
        client.meta.events.register('after-call.sqs', _refuse_incomplete)
        return client

    def _size(self, queue: str) -> int:
        try:
            return int(super()._size(queue))
        except (KeyError, ValueError) as error:
            raise InconsistencyError(f'Amazon SQS did not say how many messages queue {queue!r} has') from error


def _readable(answer: Any) -> list[Any]:
    if not isinstance(answer, dict):
        # kombu makes an empty list of an error of the server, and of a connection that failed.
        raise InconsistencyError('it is out of reach, or reports an error of its own')
    return [
        message
        for message in answer.get('Messages') or ()
        if isinstance(message.get('Body'), str) and isinstance(message.get('ReceiptHandle'), str)
    ]


def _refuse_garbage(operation_model: Any, response_dict: Any, **kwargs: Any) -> None:
    body = response_dict['body']
    # boto3 takes what it has for the whole answer where the connection was cut.
    if len(body) < int(response_dict['headers'].get('Content-Length', 0)):
        raise InconsistencyError('The connection was cut in the middle of an answer of Amazon SQS')
    try:
        is_readable = _fits(json.loads(body or '{}'), operation_model.output_shape)
    except ValueError:
        # A proxy may report an error in HTML. boto3 takes the status of such an answer for the error.
        is_readable = response_dict['status_code'] >= _FIRST_ERROR
    if not is_readable:
        raise InconsistencyError('Amazon SQS, or a proxy before it, answered with JSON of another form, or with none')


def _fits(value: Any, shape: Any) -> bool:
    """Tell whether boto3 can read a value. It raises anything for one of another type."""
    if shape is None:
        return isinstance(value, dict)
    match shape.type_name:
        case 'structure':
            return isinstance(value, dict) and all(
                value.get(name) is None or _fits(value[name], member) for name, member in shape.members.items()
            )
        case 'map':
            return isinstance(value, dict) and all(_fits(each, shape.value) for each in value.values())
        case 'list':
            return isinstance(value, list) and all(_fits(each, shape.member) for each in value)
        case 'string':
            return isinstance(value, str)
    return True


def _refuse_incomplete(http_response: Any, parsed: Any, model: Any, **kwargs: Any) -> None:
    needed = _NEEDED.get(model.name)
    if needed is not None and needed not in parsed and http_response.status_code < _FIRST_ERROR:
        raise InconsistencyError(f'Amazon SQS answered {model.name} without {needed}')
