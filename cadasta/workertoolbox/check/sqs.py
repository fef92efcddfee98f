"""Amazon SQS: check the attributes of the queues."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # has no types
from kombu import Queue

from ..architecture import FIFO
from ..durations import written
from ..seams.sqs import NoSuchQueue, NotPredefined, attributes_of, client_of, name_of, number_of, url_of
from .finding import Problem, shown
from .platform_queue import Depth

#: Queues must keep messages at least this long, in seconds, because a monitor or worker may be away for a day.
LEAST_RETENTION = 24 * 60 * 60
_OF_EACH = (
    'ApproximateNumberOfMessages',
    'ApproximateNumberOfMessagesDelayed',
    'ApproximateNumberOfMessagesNotVisible',
    'MessageRetentionPeriod',
    'VisibilityTimeout',
)


class SQS:
    """Looks for missing queues, and for attributes by which SQS loses messages or delivers them twice.

    :param channel: a channel of the transport.
    :param platform: the name of the platform queue.
    """

    def __init__(self, channel: Any, platform: str) -> None:
        self._channel = channel
        self._platform = platform

    def obstacles(self) -> Iterator[tuple[str, str]]:
        return iter(())

    def problems(self, queues: list[Queue]) -> Iterator[Problem]:
        for queue in queues:
            where = f'queue {name_of(self._channel, queue.name)!r}'
            try:
                attributes = self._attributes(queue.name)
            except NoSuchQueue:
                yield Problem(
                    where,
                    f'there is no queue of this name in region {self._channel.region!r}',
                    'Start a worker, or call cadasta.workertoolbox.setup.setup_app(app), with a role that may create '
                    'it. If the queue has another prefix or is in another region, set QUEUE_NAME_PREFIX, or the '
                    'region in broker_transport_options.',
                )
            except NotPredefined:
                yield Problem(
                    where,
                    "it is not among 'predefined_queues'",
                    "Give its URL in 'predefined_queues' of broker_transport_options.",
                )
            except ClientError as error:
                yield Problem(where, shown(error), 'Allow sqs:GetQueueAttributes, or mend what the error names.')
            else:
                # The monitor sets a visibility timeout in each call, so the attribute of its queue has no effect.
                hidden = 0 if queue.name == self._platform else self._channel.visibility_timeout
                for seen, change in _faults(attributes, queue.name, hidden):
                    yield Problem(where, seen, change)

    def depth(self, queue: str) -> Depth | None:
        """Count the messages that wait and those that consumers have received. Amazon gives approximate numbers."""
        try:
            attributes = self._attributes(queue)
        except (NoSuchQueue, NotPredefined):
            return None
        return Depth(
            int(attributes['ApproximateNumberOfMessages']),
            received=int(attributes['ApproximateNumberOfMessagesNotVisible']),
            delayed=int(attributes['ApproximateNumberOfMessagesDelayed']),
        )

    def dead_letters(self, queue: str) -> tuple[str, int] | None:
        """Count the messages that SQS has moved out of a queue, because they were delivered too often.

        :returns: the name of the queue that has them in SQS, and their number; `None` if the queue has no such queue.
        :raises botocore.exceptions.ClientError: if the role may not ask.
        """
        try:
            policy = json.loads(self._attributes(queue).get('RedrivePolicy', '{}'))
        except (NoSuchQueue, NotPredefined):
            return None
        if 'deadLetterTargetArn' not in policy:
            return None
        *_, owner, name = policy['deadLetterTargetArn'].split(':')
        client = client_of(self._channel, queue)
        url = client.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=owner)['QueueUrl']
        return name, number_of(client, url, 'ApproximateNumberOfMessages')

    def _attributes(self, queue: str) -> dict[str, str]:
        return attributes_of(client_of(self._channel, queue), url_of(self._channel, queue), *_OF_EACH, also=['All'])


def _faults(attributes: dict[str, str], name: str, visibility_timeout: int) -> Iterator[tuple[str, str]]:
    if name.endswith(FIFO) and attributes.get('FifoQueue') != 'true':
        yield (
            'it is a standard queue',
            'SQS cannot change its type: delete the queue when it is empty, and start a worker, which creates it anew.',
        )
    hidden, kept = int(attributes['VisibilityTimeout']), int(attributes['MessageRetentionPeriod'])
    if hidden < visibility_timeout:
        yield (
            f'its VisibilityTimeout is {written(timedelta(seconds=hidden))}, and a task may run twice',
            f'aws sqs set-queue-attributes --queue-url URL --attributes VisibilityTimeout={visibility_timeout}',
        )
    if kept < LEAST_RETENTION:
        yield (
            f'its MessageRetentionPeriod is {written(timedelta(seconds=kept))}, and SQS deletes older messages',
            'aws sqs set-queue-attributes --queue-url URL --attributes MessageRetentionPeriod=1209600',
        )
