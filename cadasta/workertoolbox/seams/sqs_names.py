"""kombu: the names that queues have in Amazon SQS, for programs that have not loaded the client library of Amazon."""

import string

from ..architecture import FIFO

# SQS allows letters, digits, '-' and '_'.
_REPLACED = str.maketrans({mark: '_' for mark in string.punctuation if mark not in '-_'} | {'.': '-'})


def sqs_name(queue: str, prefix: str) -> str:
    """Return the name of a queue in Amazon SQS.

    It repeats ``Channel.canonical_queue_name`` of kombu's SQS transport, whose module loads boto3.

    :param queue: the name of the queue.
    :param prefix: ``queue_name_prefix`` of the transport options.

    >>> sqs_name('export.high.fifo', 'dev-')
    'dev-export-high.fifo'
    """
    name = f'{prefix}{queue}'
    ending = FIFO if name.endswith(FIFO) else ''
    return name.removesuffix(ending).translate(_REPLACED) + ending
