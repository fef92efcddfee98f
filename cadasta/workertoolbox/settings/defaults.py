"""The defaults of a `Config` that differ from Celery's."""

from ..architecture import EXCHANGE
from ..timeouts import CONFIRMATION

#: Celery's loader takes these classes for URLs that begin so. This backend claims tasks, and loads no pickle.
BACKENDS = dict.fromkeys(('db', 'database'), 'cadasta.workertoolbox.results.backend:Backend')

SETTINGS = {
    'task_default_exchange': EXCHANGE,
    'task_default_exchange_type': 'topic',
    'task_create_missing_queues': False,
    'task_track_started': True,
    'result_backend': (
        'db+postgresql://{0.RESULT_DB_USER}:{0.RESULT_DB_PASS}@{0.RESULT_DB_HOST}:{0.RESULT_DB_PORT}/{0.RESULT_DB_NAME}'
    ),
    # A worker would end where a broker refuses a command, as a Redis does that has become a replica, or where RabbitMQ
    # closes the channel of a consumer that holds a message for too long.
    'broker_channel_error_retry': True,
    'result_expires': None,
    # A worker waits for as long as the database is away: Celery would drop the result after three tries. But a producer
    # must not wait for the database, so Celery makes the tables when the first result is stored, and not before.
    'database_create_tables_at_setup': False,
    'override_backends': BACKENDS,
    # Celery would retry for ever, too, when the role of a worker lacks a right. This callback makes that a plain error.
    'database_engine_callback': 'cadasta.workertoolbox.results:refuse_clearly',
    'result_backend_always_retry': True,
    'result_backend_max_retries': float('inf'),
}

#: The options of every broker. Only SQS has regions; the other transports leave this one alone.
TRANSPORT_OPTIONS = {'region': 'us-west-2'}
# Without it, a producer loses messages without an error: those that it sent before a connection turned out to be
# broken. RabbitMQ confirms none while it is short of memory or disk space.
AMQP_OPTIONS = {'confirm_publish': True, 'confirm_timeout': CONFIRMATION}
