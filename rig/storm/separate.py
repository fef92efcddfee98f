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
from ..servers.process import POLL_SECONDS, Process, Processes, wait_until
from ..workers.services import READY
from .faults import AWAY, HANGING, LEASE
from .platform import PROJECTS, Platform

PRODUCERS = 2
RELAYS = 2
# The project of each worker, its queues, and the number of processes in its pool. Two share their queues: one of them
# may get what the other runs.
WORKERS = (('exporting', 'celery,export', 4), ('exporting', 'celery,export', 4), ('messaging', 'msg', 2))
# The leases of this storm are short, and no broker counts late.
HASTY = f"""
from cadasta.workertoolbox.mending import lost

lost.RENEWED, lost.PAUSE = {2 * LEASE}, 3
"""
#: The work queues.
QUEUES = ('export', 'msg')
#: The seconds for which a fault waits for rows in the outbox.
ROWS_COME = 1.0
# Workers that have lost their connection before sometimes hang in a warm shutdown, with all of their tasks done.
SECONDS_TO_STOP = 20

_RUNNING = "SELECT (convert_from(result, 'utf8')::json ->> 'pid')::int FROM celery_taskmeta WHERE status = 'STARTED'"


class Separate(Platform):
    """Workers of two services, producers, beat, relays and the monitor, and the faults that strike them."""

    def __init__(self, broker: Broker, database: Database, processes: Processes) -> None:
        super().__init__(broker, database, processes)
        self.toolbox = Toolbox(processes.logs, processes, broker, self.task_database)
        with (processes.logs / 'project.py').open('a') as project:
            project.write(HASTY)
        self.monitor = self._start_monitor()
        self.monitor.wait_for('Ready: ')
        self.workers: list[Process] = []
        for number in range(len(WORKERS)):
            # This starts them one after the other: kombu's filesystem broker spoils its bindings where two processes
            # declare at once.
            self.workers.append(self._start_worker(number))
            self.workers[-1].wait_for(READY)
        self.relays = [self._start_relay() for _ in range(RELAYS)]
        for relay in self.relays:
            relay.wait_for('Ready: ')
        self.beat = self.celery('exporting', 'beat', '-s', str(processes.logs / 'schedule'), '--pidfile=')
        self.producers: list[Process] = []
        self.killed: list[Process] = []
        self.production: tuple[int, float, float, int] = (0, 0, 0, 0)
        # Until when each worker hangs, and until when each that was asked to stop has time to do so.
        self.hanging: dict[Process, float] = {}
        self.stopping: dict[Process, float] = {}
        self.last_look = time.monotonic()

    def produce(self, seed: int, seconds: float, workflows: int) -> None:
        self.production = seed, time.monotonic(), seconds, workflows // PRODUCERS
        for _ in range(PRODUCERS):
            self._start_producer(seconds, workflows // PRODUCERS)

    def wait_for_producers(self) -> None:
        for producer in self.producers:
            assert producer.wait() == 0, producer.log

    def supervise(self) -> None:
        for process in (self.monitor, self.beat, *self.relays):
            assert process.is_running or process.asked_to_stop, process.log[-4000:]
        for number, worker in enumerate(self.workers):
            if not worker.is_running:
                self.note('ended_by_itself')
                self.note('killed', at=self.last_look, of=worker.popen.pid)
                self.workers[number] = self._start_worker(number)
        self.last_look = time.monotonic()
        for worker, until in list(self.hanging.items()):
            if self.last_look > until:
                self._continue(worker)
        self._look_at_stopping()

    def calm(self) -> None:
        super().calm()
        for worker in list(self.hanging):
            self._continue(worker)

    def stop_beat(self) -> None:
        self.beat.stop()

    def empty_outbox(self) -> None:
        for relay in self.relays:
            self._stop_daemon(relay)
        self.relays = []
        command = self.toolbox.start('relay', '--once', **self.broker.proxied_environment)
        assert command.wait() == 0, command.log[-4000:]

    def stop(self) -> None:
        self.stop_workers()
        assert self.monitor.stop() == 0, self.monitor.log[-4000:]

    def cut_broker(self, chance: random.Random) -> None:
        self.note('cut')
        self.broker.cut()

    def restart_broker(self, chance: random.Random) -> None:
        """Stop the broker, or kill it. It comes back with all that it has confirmed."""
        self.note('cut')
        self.broker.restart(chance.uniform(0, AWAY), crash=chance.random() < 0.5)

    def refuse_connections(self, chance: random.Random) -> None:
        self.note('cut')
        self.broker.refuse()
        time.sleep(chance.uniform(0, AWAY))
        self.broker.listen()

    def kill_worker(self, chance: random.Random) -> None:
        worker = self._choose_worker(chance)
        self.note('killed', of=worker.popen.pid)
        self.hanging.pop(worker, None)
        worker.kill()
        number = self.workers.index(worker)
        self.workers[number] = self._start_worker(number)

    def kill_producer(self, chance: random.Random) -> None:
        """Kill a producer, and let another send the rest."""
        _, begun, seconds, workflows = self.production
        left = begun + seconds - time.monotonic()
        producer = chance.choice(self.producers)
        producer.kill()
        self.producers.remove(producer)
        self.killed.append(producer)
        self._start_producer(max(left, 0.1), max(int(workflows * left / seconds), 3))

    def purge_queue(self, chance: random.Random) -> None:
        """Take all messages from the work queues, as somebody does who mistakes them for others."""
        self.note('purged', keys=[message.key for queue in QUEUES for message in self.broker.drain(queue)])

    def kill_child(self, chance: random.Random) -> None:
        """Kill one process of a worker's pool, which runs a task if any does."""
        children = _children(self._choose_worker(chance).popen.pid)
        if children:
            child = chance.choice(sorted(children & self._running()) or sorted(children))
            self.note('killed', of=child)
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)

    def hang_worker(self, chance: random.Random) -> None:
        """Stop all processes of a worker for a while. It does not know that it hung."""
        worker = self._choose_worker(chance)
        self._continue(worker)
        self.note('paused', of=worker.popen.pid)
        os.killpg(worker.popen.pid, signal.SIGSTOP)
        self.hanging[worker] = time.monotonic() + HANGING

    def restart_worker(self, chance: random.Random) -> None:
        number = chance.randrange(len(self.workers))
        self._ask_to_stop(self.workers[number])
        self.workers[number] = self._start_worker(number)

    def kill_monitor(self, chance: random.Random) -> None:
        self.monitor.kill()
        self.monitor = self._start_monitor()

    def restart_monitor(self, chance: random.Random) -> None:
        self._stop_daemon(self.monitor)
        self.monitor = self._start_monitor()

    def kill_relay(self, chance: random.Random) -> None:
        """Kill a relay when there are rows, which it may be about to publish, or have published and not deleted."""
        with contextlib.suppress(TimeoutError):
            wait_until(lambda: self.database.execute('SELECT 1 FROM celery_outbox LIMIT 1'), 'rows', ROWS_COME)
        relay = chance.randrange(len(self.relays))
        self.relays[relay].kill()
        self.relays[relay] = self._start_relay()

    def restart_relay(self, chance: random.Random) -> None:
        relay = chance.randrange(len(self.relays))
        self._stop_daemon(self.relays[relay])
        self.relays[relay] = self._start_relay()

    def stop_workers(self) -> None:
        for worker in self.workers:
            self._ask_to_stop(worker)
        while self.stopping:
            self._look_at_stopping()
            time.sleep(POLL_SECONDS)

    def start_workers(self) -> None:
        self.workers = [self._start_worker(number) for number in range(len(WORKERS))]

    def _start_producer(self, seconds: float, workflows: int) -> None:
        seed = f'{self.production[0]} {len(self.producers) + len(self.killed)}'
        self.producers.append(self.python(str(PROJECTS / 'producing.py'), seed, str(seconds), str(workflows)))

    def _choose_worker(self, chance: random.Random) -> Process:
        """Choose one of the workers that run the most tasks."""
        running = self._running()
        busy = [len(_children(worker.popen.pid) & running) for worker in self.workers]
        return chance.choice([worker for worker, tasks in zip(self.workers, busy, strict=True) if tasks == max(busy)])

    def _running(self) -> set[int]:
        return {pid for (pid,) in self.database.execute(_RUNNING)}

    def _start_worker(self, number: int) -> Process:
        project, queues, children = WORKERS[number]
        name = f'{project}{number}@%h'
        return self.celery(project, 'worker', '-l', 'INFO', '-n', name, '-c', str(children), '-Q', queues)

    def _start_monitor(self) -> Process:
        return self.toolbox.start('monitor', '--batch', '20', '--linger', '0.1', **self.broker.proxied_environment)

    def _start_relay(self) -> Process:
        return self.toolbox.start('relay', **self.broker.proxied_environment)

    def _stop_daemon(self, daemon: Process) -> None:
        # One that was started just now does not listen to signals yet.
        works = 'Ready: ' in daemon.log
        assert daemon.stop() == 0 or not works, daemon.log[-4000:]

    def _ask_to_stop(self, worker: Process) -> None:
        """Stop a worker as an operator's system does, which kills a worker that has not ended in time."""
        self._continue(worker)
        self.note('asked_to_stop', of=worker.popen.pid)
        worker.ask_to_stop()
        self.stopping[worker] = time.monotonic() + SECONDS_TO_STOP

    def _look_at_stopping(self) -> None:
        for worker, until in list(self.stopping.items()):
            if worker.is_running and time.monotonic() > until:
                self._kill_hung(worker)
            if not worker.is_running:
                del self.stopping[worker]

    def _continue(self, worker: Process) -> None:
        if self.hanging.pop(worker, None):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.popen.pid, signal.SIGCONT)
            self.note('continued', of=worker.popen.pid)

    def _kill_hung(self, worker: Process) -> None:
        self.note('hung')
        # On this signal, Celery writes the stacks of all threads into its log.
        worker.popen.send_signal(signal.SIGUSR1)
        with contextlib.suppress(TimeoutError):
            worker.wait(1)
        self.note('killed', of=worker.popen.pid)
        worker.kill()


def _children(process: int) -> set[int]:
    return {int(child) for child in Path(f'/proc/{process}/task/{process}/children').read_text().split()}
