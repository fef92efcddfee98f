"""Amazon SQS: a worker waits and asks again, whatever Amazon answers."""

import logging
from typing import Any

from ..seams import kombu_sqs
from ..settings.credentials import masked
from ..timeouts import SILENCE
from .closed import RetriedChannel
from .sqs_batch import Batch

logger = logging.getLogger(__name__)

#: A worker asks again at the latest after this time, in seconds.
LONGEST_PAUSE = 30.0
_FIRST_PAUSE = 1.0
# Amazon's two names for the error that there is no such queue.
_GONE = ('QueueDoesNotExist', 'NonExistentQueue')


class Channel(RetriedChannel, kombu_sqs.AnsweringChannel):
    """A channel that goes on asking for messages."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._pauses: dict[str, float] = {}
        super().__init__(*args, **kwargs)

    @property
    def timeouts(self) -> dict[str, Any]:  # type: ignore[override]  # the wait is set later
        """The limits of a client."""
        return {'connect_timeout': SILENCE, 'read_timeout': SILENCE + self.wait_time_seconds}

    def create_publish_batch(self, max_size: int) -> Batch:
        """Make what kombu's producer puts the messages of a batch into.

        :param max_size: the size of a batch, which has no limit.
        """
        return Batch(self)

    def answered(self, url: str) -> None:
        """Forget the pauses of a queue that is there again."""
        self._pauses.pop(url, None)

    def refused(self, url: str, error: Exception) -> float:
        """Say what is wrong, and wait longer each time. Connect again if the queue is gone: that makes it anew."""
        if any(code in str(error) for code in _GONE):
            raise kombu_sqs.NoSuchQueue(f'Somebody has deleted the queue {url}')
        pause = self._pauses.get(url, self.connection.polling_interval or _FIRST_PAUSE)
        self._pauses[url] = min(2 * pause, LONGEST_PAUSE)
        logger.warning('Amazon SQS gave no messages of %s; next try in %g s: %s', url, pause, masked(str(error)))
        return pause


class Transport(kombu_sqs.Transport):
    """The transport for Amazon SQS by whose errors a worker connects again, and does not end."""

    Channel = Channel

    implements = kombu_sqs.Transport.implements.extend(batch_publish=True)

    connection_errors = (*kombu_sqs.Transport.connection_errors, *kombu_sqs.ERRORS)
