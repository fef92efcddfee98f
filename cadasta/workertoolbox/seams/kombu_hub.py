"""kombu: the event loop by which a worker waits for its broker."""

from typing import Any

from kombu.asynchronous import set_event_loop


def use_event_loop(hub: Any) -> None:
    """Let the channels that are opened from now on find the event loop of a worker.

    It uses ``kombu.asynchronous.set_event_loop``. kombu forgets the loop when Celery resets it after the loss of a
    connection. A channel of Amazon SQS that finds no loop asks for no messages, and says nothing.

    :param hub: the loop; `None` in a worker that has none.
    """
    if hub is not None:
        set_event_loop(hub)
