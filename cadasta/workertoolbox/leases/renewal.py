"""Renews leases in a thread, again and again."""

import logging
import threading
import time
from typing import Protocol

logger = logging.getLogger(__name__)

#: How often a lease is renewed while it lasts: two renewals may fail.
RENEWALS = 3
#: Leases are not renewed more often, in seconds.
SHORTEST_INTERVAL = 0.1
#: How long a worker that stops waits for a renewal that is under way, in seconds.
PATIENCE = 5


class Leases(Protocol):
    """The leases of what a channel holds."""

    def seconds(self) -> float:
        """Tell how long a message stays with its worker unless its lease is renewed."""

    def renew(self) -> None:
        """Renew the leases of all messages that the channel holds."""


class Renewal:
    """Renews leases at a third of their time, until it is stopped.

    It is a thread of its own in every pool. Solo, threads and gevent have no time for a timer while a task runs or
    while a worker that was told to stop waits for its tasks, and a broker that does not answer would hold up a timer,
    and with it the whole worker.

    :param leases: the leases.
    :param otherwise: how long they last where the broker does not tell, in seconds.
    """

    def __init__(self, leases: Leases, otherwise: float) -> None:
        self._leases = leases
        self._otherwise = otherwise
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name='leases', daemon=True)

    def start(self) -> None:
        """Begin to renew."""
        self._thread.start()

    def stop(self) -> None:
        """Renew no more. A renewal that is under way comes to its end, unless the broker is silent."""
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
