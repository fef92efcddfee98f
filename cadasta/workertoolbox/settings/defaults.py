"""Where a `Config` differs from Celery's defaults."""

from ..architecture import EXCHANGE

SETTINGS = {
    'task_default_exchange': EXCHANGE,
    'task_default_exchange_type': 'topic',
    'task_create_missing_queues': False,
    'task_track_started': True,
    'result_backend': (
        'db+postgresql://{0.RESULT_DB_USER}:{0.RESULT_DB_PASS}@{0.RESULT_DB_HOST}:{0.RESULT_DB_PORT}/{0.RESULT_DB_NAME}'
    ),
    'result_expires': None,
    # A worker waits for as long as the database is away: Celery would drop the result after three tries. But whoever
    # only sends tasks must not wait for it, so the tables are left to whoever first stores a result.
    'database_create_tables_at_setup': False,
    # What the role of a worker may not do would be tried for ever as well.
    'database_engine_callback': 'cadasta.workertoolbox.results:refuse_clearly',
    'result_backend_always_retry': True,
    'result_backend_max_retries': float('inf'),
}

#: The options of every broker. Only SQS has regions; the other transports leave this one alone.
TRANSPORT_OPTIONS = {'region': 'us-west-2'}
# Without it, what was sent into a connection before it turned out to be broken is lost without an error.
AMQP_OPTIONS = {'confirm_publish': True}
