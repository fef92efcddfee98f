"""Check that a chord can be sent, before it sends anything.

Celery sends ``celery.chord_unlock`` before the tasks of the header. If one of these cannot be sent, ``delay`` raises an
error, and a worker would look for the results of the header each second, for as long as ``CHORD_UNLOCK_MAX_RETRIES``
allows.
"""

from collections.abc import Iterator

from .seams.celery_canvas import Message, before_chords
from .topology import Topology


def check(messages: Iterator[Message]) -> None:
    """Raise the error that the sending of one of these messages would raise, if an app with `Config` sends it.

    :param messages: all that a chord is about to send, but for its own ``celery.chord_unlock``. Celery sends that
        first, so that nothing is sent if that raises an error.
    """
    for message in messages:
        if isinstance(getattr(message.app.loader.conf, 'topology', None), Topology) and message.is_sent_by_celery():
            message.check()


before_chords(check)
