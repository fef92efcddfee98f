"""Run a server for as long as a `with` block lasts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar


class Server(Protocol):
    """A server that is started, and is closed even if it failed to start."""

    def start(self) -> None:
        """Starts it, and waits until it is ready."""

    def close(self) -> None:
        """Stops it, and removes what it has left."""


S = TypeVar('S', bound=Server)


@contextmanager
def started(server: S) -> Iterator[S]:
    try:
        server.start()
        yield server
    finally:
        server.close()
