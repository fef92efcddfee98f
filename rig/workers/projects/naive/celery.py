import os

import journal  # noqa: F401  # it listens to signals
from celery import Celery
from kombu import Exchange, Queue

exchange = Exchange('task_exchange', 'topic')

app = Celery('naive', include=['naive.tasks'])
app.conf.update(
    broker_url=os.environ['CELERY_BROKER_URL'],
    task_queues=[Queue('export', exchange, routing_key='export'), Queue('platform.fifo', exchange, routing_key='#')],
    task_routes={'export.*': {'queue': 'export'}},
    # This keeps another loss out of the comparison: without it, a producer that ends at once may lose the messages that
    # it has just sent.
    broker_transport_options={'confirm_publish': True},
)
