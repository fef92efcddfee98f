"""How workers store the states and results of tasks, and let each task run once.

``backend`` is Celery's database backend with one statement a state. A worker that starts a task claims it by that
statement (``claim``). ``guard`` keeps a task from running without its claim, ``comeback`` sends a copy that came too
early back into its queue, and ``lease`` renews the claims of what runs.
"""

from celery import Celery

from .clear_errors import refuse_clearly

__all__ = ['claim_in_child', 'claim_tasks', 'refuse_clearly', 'refuse_unreadable']


def claim_tasks(app: Celery) -> None:
    """Let the workers of an app claim each task before they run it.

    :param app: an app whose workers have not started yet.

    >>> app = Celery('export')
    >>> claim_tasks(app)
    >>> sorted(step.rpartition(':')[2] for step in app.steps['worker'])
    ['Leases', 'Limits', 'Prepare']
    """
    # Steps are named here and not imported: a producer that sets up an app does not load the modules of a worker.
    app.steps['worker'].update(f'{__name__}.{step}' for step in ('lease:Leases', 'limits:Limits', 'worker:Prepare'))


def refuse_unreadable(app: Celery) -> None:
    """Let the workers of an app reject messages that would stop them, wherever they store results.

    :param app: an app whose workers have not started yet.

    >>> app = Celery('export')
    >>> refuse_unreadable(app)
    >>> [step.rpartition(':')[2] for step in app.steps['consumer']]
    ['Readable']
    """
    app.steps['consumer'].add(f'{__name__}.messages:Readable')


def claim_in_child(app: Celery, hostname: str) -> None:
    """Let a child of a worker claim each task before it runs it. A child that was not forked has no steps.

    :param app: the app of the worker.
    :param hostname: the name of the worker.
    """
    from .worker import prepare_child

    prepare_child(app, hostname)
