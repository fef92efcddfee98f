"""kombu: what it calls a queue in Amazon SQS, and the client of Amazon's API that it has configured for it."""

from typing import Any

from kombu.transport.SQS import DoesNotExistQueueException, UndefinedQueueException

#: `url_of` raises it where Amazon SQS has no queue of that name.
NoSuchQueue: type[Exception] = DoesNotExistQueueException
#: `url_of` and `client_of` raise it where the queue is not among the ``predefined_queues``.
NotPredefined: type[Exception] = UndefinedQueueException


def name_of(channel: Any, queue: str) -> str:
    """Tell what a queue is called in Amazon SQS.

    It stands for ``channel.canonical_queue_name``. kombu documents the prefix, and not which characters it replaces.

    :param channel: a channel of the SQS transport.
    :param queue: the name of the queue.
    """
    return str(channel.canonical_queue_name(queue))


def bare_name_of(channel: Any, queue: str) -> str:
    """Tell what a queue would be called in Amazon SQS without a prefix.

    It stands for ``channel.entity_name``, for the reason that `name_of` gives.

    :param channel: a channel of the SQS transport.
    :param queue: the name of the queue.
    """
    return str(channel.entity_name(queue))


def url_of(channel: Any, queue: str) -> str:
    """Look up the URL of a queue.

    It stands for ``channel._resolve_queue_url``. Each public method creates the queue where it is missing.

    :param channel: a channel of the SQS transport.
    :param queue: the name of the queue.
    :raises NoSuchQueue: where Amazon SQS has no such queue.
    :raises NotPredefined: where only other queues are predefined.
    """
    return str(channel._resolve_queue_url(queue))


def client_of(channel: Any, queue: str) -> Any:
    """Name the client for a queue, with the region, credentials and time limits that kombu has read from the settings.

    It stands for ``channel.sqs``, which takes the name that the queue has in Amazon SQS. kombu has no public client.

    :param channel: a channel of the SQS transport.
    :param queue: the name of the queue.
    :returns: a client of boto3.
    :raises NotPredefined: where only other queues are predefined.
    """
    return channel.sqs(queue=name_of(channel, queue))
