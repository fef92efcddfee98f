"""Leases of messages: what a living worker holds is not delivered to another.

On Amazon SQS and Redis, a message that is not acknowledged within the visibility timeout is delivered again, whether
its worker is dead or busy. So a worker renews what it holds, at a third of that time: what it has prefetched, what
waits for its ``eta``, and what runs.
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
    # A producer that sets an app up does not load what only a worker needs.
    app.steps['consumer'].add(f'{__name__}.step:Renew')
