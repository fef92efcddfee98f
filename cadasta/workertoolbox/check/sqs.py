"""Amazon SQS: the attributes of the queues."""

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # has no types
from kombu import Connection, Queue
from kombu.transport.SQS import DoesNotExistQueueException, UndefinedQueueException

from ..topology import FIFO
from .draining import Depth
from .finding import Problem, shown

#: What nobody takes in this time is deleted, in seconds. A monitor or worker may be away for a day.
LEAST_RETENTION = 24 * 60 * 60


def problems(connection: Connection, channel: Any, queues: list[Queue], platform: str) -> Iterator[Problem]:
    """Look for queues that are not there, or have attributes with which messages would be lost or handled twice.

    :param connection: not used.
    :param channel: a channel.
    :param queues: the app's queues.
    :param platform: the name of the platform queue.
    :returns: the problems.
    """
    for queue in queues:
        where = f'queue {channel.canonical_queue_name(queue.name)!r}'
        try:
            attributes = _attributes(channel, queue.name)
        except DoesNotExistQueueException:
            yield Problem(
                where, f'there is no queue of this name in region {channel.region!r}',
                'Start a worker, or call cadasta.workertoolbox.setup.setup_app(app), with a role that may create it. '
                'If there is one with another prefix or in another region, set QUEUE_NAME_PREFIX, or the region in '
                'broker_transport_options.')
        except UndefinedQueueException:
            yield Problem(where, "it is not among 'predefined_queues'",
                          "Give its URL in 'predefined_queues' of broker_transport_options.")
        except ClientError as error:
            yield Problem(where, shown(error), 'Allow sqs:GetQueueAttributes, or mend what the error names.')
        else:
            # The monitor itself says how long its messages are hidden.
            hidden = 0 if queue.name == platform else channel.visibility_timeout
            for seen, change in _faults(attributes, queue.name, hidden):
                yield Problem(where, seen, change)


def depth(connection: Connection, channel: Any, queue: str) -> Depth | None:
    """Count the messages that wait in a queue, and those that were received a moment ago.

    :param connection: not used.
    :param channel: a channel.
    :param queue: the name of the queue.
    :returns: the counts, which Amazon approximates; nothing where there is no such queue.
    """
    try:
        attributes = _attributes(channel, queue)
    except (DoesNotExistQueueException, UndefinedQueueException):
        return None
    return Depth(
        int(attributes['ApproximateNumberOfMessages']),
        received=int(attributes['ApproximateNumberOfMessagesNotVisible']),
    )


def _attributes(channel: Any, queue: str) -> dict[str, str]:
    # This looks the queue up. Whatever else kombu does with a queue would create it.
    url = channel._resolve_queue_url(queue)
    client = channel.sqs(queue=channel.canonical_queue_name(queue))
    attributes: dict[str, str] = client.get_queue_attributes(QueueUrl=url, AttributeNames=['All'])['Attributes']
    return attributes


def _faults(attributes: dict[str, str], name: str, visibility_timeout: int) -> Iterator[tuple[str, str]]:
    if name.endswith(FIFO) and attributes.get('FifoQueue') != 'true':
        yield (
            'it is a standard queue',
            'Its type cannot be changed: delete it when it is empty, and start a worker, which makes a new one.')
    hidden, kept = int(attributes['VisibilityTimeout']), int(attributes['MessageRetentionPeriod'])
    if hidden < visibility_timeout:
        yield (
            f'its VisibilityTimeout is {hidden} seconds, and a task that takes longer runs twice',
            f'aws sqs set-queue-attributes --queue-url URL --attributes VisibilityTimeout={visibility_timeout}')
    if kept < LEAST_RETENTION:
        yield (
            f'its MessageRetentionPeriod is {kept} seconds, and a message that waits longer is deleted',
            'aws sqs set-queue-attributes --queue-url URL --attributes MessageRetentionPeriod=1209600')
