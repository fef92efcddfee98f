"""Helpers for the code of tasks."""

from typing import Any

from celery import Task


def extract_followups(task: Task) -> dict[str, Any]:
    """Take the callbacks from the running task, to hand them to the last step of a workflow that it schedules.

    A task that schedules a chain or a chord ends before these have run. Its callbacks would run too early, with the
    wrong result. This function takes the callbacks away from the task and returns them as options for the last step.

    If the task does nothing more after it scheduled the others, prefer `celery.app.task.Task.replace`: it also hands on
    the rest of the chain and the chord that the task belongs to. These are not callbacks, and this function leaves them
    alone.

    :param task: the running task, bound (``bind=True``).
    :returns: ``{'link': callbacks, 'link_error': errbacks}``: options for
        `celery.canvas.Signature.apply_async` and `celery.canvas.Signature.set`. Each is ``None`` or a list of
        signatures. The task keeps its errbacks, for its own errors.

    >>> from celery import Celery, chain
    >>> from cadasta.workertoolbox.conf import Config
    >>> app = Celery('export')
    >>> app.config_from_object(Config(broker_url='memory://'))
    >>> @app.task(name='export.project', bind=True)
    ... def project(self, id):
    ...     last = app.signature('export.upload').set(**extract_followups(self))
    ...     chain(app.signature('export.collect', (id,)), last).delay()
    """
    request = task.request
    followups = {'link': request.callbacks, 'link_error': request.errbacks}
    request.callbacks = None
    return followups
