"""Renew the leases of messages, so that the messages of a living worker do not go to another worker.

On Amazon SQS and Redis, a worker that takes a message leases it for the visibility timeout. If the worker does not
acknowledge the message within that time, the message goes to another worker, even if the first one is only busy. So a
worker renews its leases at every third of that time. It does so for all tasks that it has prefetched, that wait for
their ``eta``, or that it runs.
"""

from celery import Celery


def renew_leases(app: Celery) -> None:
    """Let the workers of an app renew the leases of the messages that they hold.

    :param app: an app whose workers have not started yet.

    >>> app = Celery('export')
    >>> renew_leases(app)
    >>> app.steps['consumer']
    {'cadasta.workertoolbox.leases.step:Renew'}
    """
    # A step is named here and not imported: a producer that sets up an app does not load the modules of a worker.
    app.steps['consumer'].add(f'{__name__}.step:Renew')
