"""Run a storm with servers of its own, for programs other than tests."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

from ..servers.brokers import open_broker
from ..servers.postgres import Postgres
from ..servers.process import Processes
from ..servers.started import started
from .books import Books
from .run import make_platform, storm


def storm_on(
    broker_name: str, seed: int, seconds: float, rate: float, interval: float, directory: Path | None = None
) -> Books:
    """Start everything, run a storm, and stop everything.

    :param broker_name: kombu's name of the transport
    :param seed: see `storm`, as for the following three
    :param directory: the directory that keeps the logs and notes of all processes; without it, they are removed
    """
    with ExitStack() as stack:
        if directory is None:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='storm-')))
        directory.mkdir(exist_ok=True, parents=True)
        broker = stack.enter_context(open_broker(broker_name, directory))
        postgres = stack.enter_context(started(Postgres()))
        processes = stack.enter_context(Processes(directory))
        platform = make_platform(broker, postgres.create_database(), processes)
        stack.callback(platform.close)
        return storm(platform, seed, seconds, rate, interval)
