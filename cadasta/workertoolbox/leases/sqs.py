"""Amazon SQS: one call sets the visibility timeouts of up to ten messages anew."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # has no types
from kombu import Queue

from ..seams.kombu_held import held, is_held
from ..seams.sqs import client_of, number_of, url_of

logger = logging.getLogger(__name__)

#: A call of SQS takes this many messages at most.
MAX_CALL = 10


class SQSLeases:
    """Renews the leases of the messages that a channel of kombu's SQS transport holds.

    :param channel: the channel that a worker consumes with.
    :param queues: the queues that it consumes.
    """

    def __init__(self, channel: Any, queues: Iterable[Queue]) -> None:
        self._channel = channel
        self._queues = [queue.name for queue in queues]
        # The tags of messages whose leases SQS refused to renew: once, and again.
        self._doubtful: set[str] = set()
        self._ended: set[str] = set()

    def seconds(self) -> float:
        """Tell how long a message stays with its worker if nobody renews its lease.

        The queue's own timeout decides the first lease of a message. It may be shorter than the timeout of the worker.
        """
        return min([float(self._channel.visibility_timeout), *map(self._timeout_of, self._queues)])

    def renew(self) -> None:
        """Renew the leases of all messages that the channel holds."""
        messages = held(self._channel)
        self._doubtful &= messages.keys()
        self._ended &= messages.keys()
        for (url, key), tags in self._by_queue(messages).items():
            client = client_of(self._channel, key)
            for start in range(0, len(tags), MAX_CALL):
                self._renew_some(client, url, tags[start : start + MAX_CALL], messages)

    def _by_queue(self, messages: Mapping[str, Any]) -> dict[tuple[str, str], list[str]]:
        by_queue = defaultdict(list)
        for tag, message in messages.items():
            info = message.delivery_info
            # kombu removes the URL from a message that it puts back.
            if tag not in self._ended and 'sqs_queue' in info:
                by_queue[info['sqs_queue'], info['routing_key']].append(tag)
        return by_queue

    def _renew_some(self, client: Any, url: str, tags: list[str], messages: Mapping[str, Any]) -> None:
        entries = [
            {'Id': str(number), 'ReceiptHandle': tag, 'VisibilityTimeout': self._channel.visibility_timeout}
            for number, tag in enumerate(tags)
            if is_held(self._channel, tag)
        ]
        if not entries:
            return
        try:
            answer = client.change_message_visibility_batch(QueueUrl=url, Entries=entries)
        except ClientError as error:
            # SQS refuses the call for this queue alone, so the renewal goes on with the others. It does not go on after
            # an error of the connection, which would meet the other queues as well.
            logger.warning('SQS did not renew the leases of messages from %s; it is tried again: %s', url, error)
            return
        for failure in answer.get('Failed', ()):
            tag = tags[int(failure['Id'])]
            # The worker may have acknowledged the message in the meantime. It needs no lease then.
            if is_held(self._channel, tag):
                self._complain(failure, tag, messages[tag], url)

    def _complain(self, failure: Mapping[str, Any], tag: str, message: Any, url: str) -> None:
        why = failure.get('Message') or failure['Code']
        if failure['SenderFault'] and tag not in self._doubtful:
            # kombu forgets an acknowledged message only when SQS has deleted it. So this one may have no lease because
            # its task has ended, and then the worker does not hold it at the next renewal.
            self._doubtful.add(tag)
        elif failure['SenderFault']:
            self._ended.add(tag)
            logger.warning(
                'SQS does not renew the lease of task %s, from %s, any more: another worker may get it. %s',
                message.headers.get('id'),
                url,
                why,
            )
        else:
            logger.warning('SQS did not renew the lease of a message from %s; it is tried again: %s', url, why)

    def _timeout_of(self, queue: str) -> float:
        return float(number_of(client_of(self._channel, queue), url_of(self._channel, queue), 'VisibilityTimeout'))
