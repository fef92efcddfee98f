"""Publish the tasks of a block together, or none of them."""

from collections.abc import Iterator
from contextlib import contextmanager

from celery import Celery
from celery.exceptions import Ignore

from ..apps import has_config
from ..errors import BadOutbox, NotConfigured
from ..seams.celery_app import app_itself
from .collecting import Collection, collecting, collection_of
from .outboxes import Outbox
from .sending import send


@contextmanager
def batch(app: Celery) -> Iterator[None]:
    """Send the tasks of a block together when it ends, or none of them if it raises an error.

    Within the block, ``delay``, ``apply_async``, ``send_task`` and the canvases return their results at once, with
    their ids. The broker gets the messages when the block ends: on Amazon SQS ten a call, on RabbitMQ with one wait for
    a thousand messages, and on Redis in pipelines. The platform gets the copy of each message first. The settings
    ``task_publish_retry`` and ``task_publish_retry_policy`` apply to all of it.

    The batch has the tasks that this thread, greenlet or coroutine publishes by this app. The retry of a task that runs
    is sent at once, and so is a task that is given a ``connection=`` from outside the app's pool. If the block ends
    because ``self.replace()`` raised ``Ignore``, its tasks are sent. A batch within a batch of the same app adds its
    tasks to the outer one. A process that is forked within the block leaves the batch to its parent.

    :param app: an app that is configured by a `cadasta.workertoolbox.Config`.
    :raises NotConfigured: where the app is configured by something else.
    :raises BadOutbox: within an `outbox` of the app.
    :raises NotAllSent: at the end, where some messages could not be sent. It has the ids of their tasks.

    >>> from cadasta.workertoolbox import Config
    >>> app = Celery('export', set_as_current=False)
    >>> app.config_from_object(Config(QUEUES=['export'], broker_url='memory://'))
    >>> with batch(app):
    ...     results = [app.send_task('export.project', (number,)) for number in range(3)]
    >>> len({result.id for result in results})
    3
    """
    if not has_config(app):
        raise NotConfigured(
            f'App {app.main!r} is not configured by a Config, so the platform gets no copy of its tasks. Configure it '
            'by app.config_from_object(Config(…)), or publish its tasks without a batch.'
        )
    # A proxy such as `celery.current_app` is not the app that publishes.
    app = app_itself(app)
    if isinstance(collection_of(app), Outbox):
        raise BadOutbox(
            'A batch within an outbox of the same app would send its tasks before the transaction is committed. Leave '
            'the batch out: the relay sends the tasks of an outbox in batches.'
        )
    with collecting(app, Collection) as collection:
        try:
            yield
        except Ignore:
            _end(app, collection)
            raise
        _end(app, collection)


def _end(app: Celery, collection: Collection) -> None:
    messages = collection.close()
    outer = collection_of(app)
    if outer is None or not outer.add(*messages):
        send(app, messages)
