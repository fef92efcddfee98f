"""Renew leases regularly in a thread."""

import logging
import threading
import time
from typing import Protocol

logger = logging.getLogger(__name__)

#: A lease is renewed this many times while it lasts, so two renewals may fail.
RENEWALS = 3
#: At least this time passes between two renewals, in seconds.
SHORTEST_INTERVAL = 0.1
#: A worker that stops waits this long for a renewal that is under way, in seconds.
PATIENCE = 5


class Leases(Protocol):
    """The leases of the messages that a channel holds."""

    def seconds(self) -> float:
        """Tell how long a message stays with its worker if nobody renews its lease."""

    def renew(self) -> None:
        """Renew the leases of all messages that the channel holds."""


class Renewal:
    """Renews leases at every third of their time, until it is stopped.

    It has a thread of its own, whatever the pool of the worker. A timer of the worker would not do: in the pools solo,
    threads and gevent, it does not fire while a task runs, or while a stopping worker waits for its tasks. A silent
    broker would block the timer, and with it the whole worker.

    :param leases: the leases.
    :param otherwise: the time that they last if the broker does not tell it, in seconds.
    """

    def __init__(self, leases: Leases, otherwise: float) -> None:
        self._leases = leases
        self._otherwise = otherwise
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name='leases', daemon=True)

    def start(self) -> None:
        """Start to renew the leases."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the renewals. Wait for one that is under way, but not for ever: the broker may be silent."""
        self._stopped.set()
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        interval = max(self._seconds() / RENEWALS, SHORTEST_INTERVAL)
        due = time.monotonic() + interval
        while not self._stopped.wait(max(due - time.monotonic(), 0)):
            due = time.monotonic() + interval
            try:
                self._leases.renew()
            except Exception as error:
                logger.warning('The worker did not renew the leases of its messages; it is tried again: %s', error)

    def _seconds(self) -> float:
        try:
            return self._leases.seconds()
        except Exception as error:
            logger.warning('The broker does not tell how long it leases messages: %s', error)
            return self._otherwise
