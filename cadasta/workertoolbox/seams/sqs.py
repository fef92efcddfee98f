"""kombu: the name that it gives a queue in Amazon SQS, and the client of Amazon's API that it configures."""

from collections.abc import Sequence
from typing import Any

from kombu.exceptions import InconsistencyError
from kombu.transport.SQS import DoesNotExistQueueException, UndefinedQueueException

#: `url_of` raises this error if Amazon SQS has no queue of that name.
NoSuchQueue: type[Exception] = DoesNotExistQueueException
#: `url_of` and `client_of` raise this error if the queue is not among the ``predefined_queues``.
NotPredefined: type[Exception] = UndefinedQueueException


def name_of(channel: Any, queue: str) -> str:
    """Return the name of a queue in Amazon SQS.

    It uses ``channel.canonical_queue_name``. kombu documents the prefix, but not the characters that it replaces.

    :param channel: a channel of the SQS transport.
    :param queue: the name of the queue.
    """
    return str(channel.canonical_queue_name(queue))


def bare_name_of(channel: Any, queue: str) -> str:
    """Return the name that a queue would have in Amazon SQS without a prefix.

    It uses ``channel.entity_name``, for the reason that `name_of` gives.

    :param channel: a channel of the SQS transport.
    :param queue: the name of the queue.
    """
    return str(channel.entity_name(queue))


def url_of(channel: Any, queue: str) -> str:
    """Look up the URL of a queue.

    It uses ``channel._resolve_queue_url``. Each public method creates a missing queue.

    :param channel: a channel of the SQS transport.
    :param queue: the name of the queue.
    :raises NoSuchQueue: if Amazon SQS has no such queue.
    :raises NotPredefined: if the app has predefined queues, and this one is not among them.
    """
    return str(channel._resolve_queue_url(queue))


def client_of(channel: Any, queue: str) -> Any:
    """Return the client for a queue, with the region, credentials and time limits that kombu takes from the settings.

    It uses ``channel.sqs``, which takes the name that the queue has in Amazon SQS. kombu has no public client.

    :param channel: a channel of the SQS transport.
    :param queue: the name of the queue.
    :returns: a client of boto3.
    :raises NotPredefined: if the app has predefined queues, and this one is not among them.
    """
    return channel.sqs(queue=name_of(channel, queue))


def attributes_of(client: Any, url: str, *names: str, also: Sequence[str] = ()) -> dict[str, str]:
    """Ask Amazon SQS for attributes of a queue.

    :param client: a client of boto3.
    :param url: the URL of the queue.
    :param names: the names of attributes that each queue has.
    :param also: the names of attributes that it may have.
    :returns: the attributes, by name.
    :raises kombu.exceptions.InconsistencyError: if the answer lacks one. An answer without attributes is no error for
        boto3.
    """
    answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=[*names, *also])
    attributes: dict[str, str] = answer.get('Attributes', {})
    missing = [name for name in names if name not in attributes]
    if missing:
        raise InconsistencyError(f'Amazon SQS answered without {missing[0]} of the queue {url}')
    return attributes


def number_of(client: Any, url: str, name: str) -> int:
    """Ask Amazon SQS for an attribute of a queue that is a number.

    :param client: a client of boto3.
    :param url: the URL of the queue.
    :param name: the name of the attribute.
    :raises kombu.exceptions.InconsistencyError: if the answer does not have it, or if it is no number.
    """
    value = attributes_of(client, url, name)[name]
    if not value.isdecimal():
        raise InconsistencyError(f'Amazon SQS answered with {value!r} for {name} of the queue {url}')
    return int(value)
