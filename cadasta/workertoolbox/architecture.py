"""The names on which all apps of one platform agree."""

#: Amazon SQS demands this ending of a FIFO queue's name.
FIFO = '.fifo'
#: The queue of Celery's own tasks, and of tasks whose name leads to no other queue.
DEFAULT_QUEUE = 'celery'
#: The queue that gets a copy of every message.
PLATFORM_QUEUE = f'platform{FIFO}'
#: The topic exchange to which every message goes.
EXCHANGE = 'task_exchange'
#: Celery's task that sends the body of a chord when the header is done.
CHORD_UNLOCK = 'celery.chord_unlock'

#: The header that says when the producer sent a message, in ISO 8601 and by the producer's clock.
SENT = 'sent'

#: The longest id of a task that Celery's result table and the Task table hold, in characters.
ID_LENGTH = 155

#: The table of the outbox, in the database of an application.
OUTBOX = 'celery_outbox'
#: Its columns that the application fills in.
OUTBOX_COLUMNS = ('task_id', 'name', 'routing_key', 'headers', 'properties', 'body')


def key_of(queue_name: str) -> str:
    """Tell the routing key that a work queue of this name serves.

    :param queue_name: the name of the queue.
    :returns: the name without the ``.fifo`` that Amazon demands of a FIFO queue.

    >>> key_of('export.fifo')
    'export'
    """
    return queue_name.removesuffix(FIFO)
