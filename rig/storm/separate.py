"""A platform of separate processes, each started as a user starts it."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from pathlib import Path

from ..monitor.programs import Toolbox
from ..servers.broker import Broker
from ..servers.postgres import Database
from ..servers.process import Process, Processes
from ..workers.services import READY
from .platform import PROJECTS, Platform

PRODUCERS = 2
# The project of each worker, its queues, and the number of processes in its pool.
WORKERS = (('exporting', 'celery,export', 3), ('messaging', 'msg', 2))
# Workers that have lost their connection before sometimes hang in a warm shutdown, with all of their tasks done.
SECONDS_TO_STOP = 10


class Separate(Platform):
    """Workers of two services, producers, beat and the monitor, and the faults that strike them."""

    def __init__(self, broker: Broker, database: Database, processes: Processes) -> None:
        super().__init__(broker, database, processes)
        self.toolbox = Toolbox(processes.logs, processes, broker, self.task_database)
        self.monitor = self._start_monitor()
        self.monitor.wait_for('Ready: ')
        self.workers: list[Process] = []
        for number in range(len(WORKERS)):
            # This starts them one after the other: kombu's filesystem broker spoils its bindings where two processes
            # declare at once.
            self.workers.append(self._start_worker(number))
            self.workers[-1].wait_for(READY)
        self.beat = self.celery('exporting', 'beat', '-s', str(processes.logs / 'schedule'), '--pidfile=')
        self.producers: list[Process] = []
        self.last_look = time.monotonic()

    def produce(self, seed: int, seconds: float, workflows: int) -> None:
        for number in range(PRODUCERS):
            self.producers.append(
                self.python(
                    str(PROJECTS / 'producing.py'), f'{seed} {number}', str(seconds), str(workflows // PRODUCERS)
                )
            )

    def wait_for_producers(self) -> None:
        for producer in self.producers:
            assert producer.wait() == 0, producer.log

    def supervise(self) -> None:
        for process in (self.monitor, self.beat):
            assert process.is_running or process.asked_to_stop, process.log[-4000:]
        for number, worker in enumerate(self.workers):
            if not worker.is_running:
                self.note('ended')
                self.note('killed', at=self.last_look, of=worker.popen.pid)
                self.workers[number] = self._start_worker(number)
        self.last_look = time.monotonic()

    def stop_beat(self) -> None:
        self.beat.stop()

    def stop(self) -> None:
        for worker in self.workers:
            worker.ask_to_stop()
        for worker in self.workers:
            self._stop_worker(worker)
        assert self.monitor.stop() == 0, self.monitor.log[-4000:]

    def cut_broker(self, chance: random.Random) -> None:
        self.note('cut')
        self.broker.cut()

    def kill_worker(self, chance: random.Random) -> None:
        number = chance.randrange(len(self.workers))
        self.note('killed', of=self.workers[number].popen.pid)
        self.workers[number].kill()
        self.workers[number] = self._start_worker(number)

    def kill_child(self, chance: random.Random) -> None:
        """Kill one process of a worker's pool."""
        worker = chance.choice(self.workers).popen.pid
        children = Path(f'/proc/{worker}/task/{worker}/children').read_text().split()
        if children:
            child = int(chance.choice(children))
            self.note('killed', of=child)
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)

    def restart_worker(self, chance: random.Random) -> None:
        number = chance.randrange(len(self.workers))
        self._stop_worker(self.workers[number])
        self.workers[number] = self._start_worker(number)

    def kill_monitor(self, chance: random.Random) -> None:
        self.monitor.kill()
        self.monitor = self._start_monitor()

    def restart_monitor(self, chance: random.Random) -> None:
        # A monitor that was started just now does not listen to signals yet.
        works = 'Ready: ' in self.monitor.log
        assert self.monitor.stop() == 0 or not works, self.monitor.log[-4000:]
        self.monitor = self._start_monitor()

    def _start_worker(self, number: int) -> Process:
        project, queues, children = WORKERS[number]
        return self.celery(project, 'worker', '-l', 'INFO', '-n', f'{project}@%h', '-c', str(children), '-Q', queues)

    def _start_monitor(self) -> Process:
        return self.toolbox.start('monitor', '--batch', '20', '--linger', '0.1', **self.broker.proxied_environment)

    def _stop_worker(self, worker: Process) -> None:
        """Stop a worker as an operator's system does, which kills a worker that has not ended in time."""
        asked = time.monotonic()
        worker.ask_to_stop()
        try:
            worker.wait(SECONDS_TO_STOP)
        except TimeoutError:
            self.note('hung')
            # It is uncertain what the worker has done since it was asked to stop.
            self.note('killed', at=asked, of=worker.popen.pid)
            # On this signal, Celery writes the stacks of all threads into its log.
            worker.popen.send_signal(signal.SIGUSR1)
            with contextlib.suppress(TimeoutError):
                worker.wait(1)
            worker.kill()
