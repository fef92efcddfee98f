"""Run worker, producer, beat, monitor and relay in one process, for the broker in its memory.

When the worker is ready, a thread obeys the lines on stdin.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

from celery.beat import EmbeddedService
from celery.signals import worker_ready
from producing import THREADS, send_from_threads
from service import BEAT_SCHEDULE, make_app

from cadasta.workertoolbox.monitor import Monitor
from cadasta.workertoolbox.relay import Relay

app = make_app('alone', 'export_tasks', 'msg_tasks', beat_schedule=BEAT_SCHEDULE)


class RunningMonitor:
    def __init__(self) -> None:
        self.monitor = Monitor(app, os.environ['TOOLBOX_DATABASE'], batch=20, linger=0.1)
        self.thread = threading.Thread(target=self.monitor.run)
        self.thread.start()

    def stop(self) -> None:
        self.monitor.stop()
        self.thread.join()


class RunningRelay:
    def __init__(self) -> None:
        self.relay = Relay(app, os.environ['TOOLBOX_DATABASE'])
        self.thread = threading.Thread(target=self.relay.run)
        self.thread.start()

    def stop(self) -> None:
        self.relay.stop()
        self.thread.join()


@worker_ready.connect
def begin(**kwargs: Any) -> None:
    threading.Thread(target=obey, daemon=True).start()


def obey() -> None:
    monitor = RunningMonitor()
    relay = RunningRelay()
    beat = EmbeddedService(app, thread=True, schedule_filename=os.environ['SCHEDULE'])
    beat.start()
    print('obeying', flush=True)
    for line in sys.stdin:
        match line.rstrip().split('\t'):
            case ['produce', seed, seconds, workflows]:
                threading.Thread(target=produce, args=(seed, float(seconds), int(workflows))).start()
            case ['close connections']:
                close_connections()
            case ['restart monitor']:
                monitor.stop()
                monitor = RunningMonitor()
            case ['restart relay']:
                relay.stop()
                relay = RunningRelay()
            case ['empty outbox']:
                relay.stop()
                Relay(app, os.environ['TOOLBOX_DATABASE'], once=True).run()
                print('outbox emptied', flush=True)
            case ['stop beat']:
                beat.stop()
                print('beat stopped', flush=True)
            case ['stop']:
                monitor.stop()
                print('monitor stopped', flush=True)


def produce(seed: str, seconds: float, workflows: int) -> None:
    send_from_threads(app, seed, seconds, workflows)
    print('produced', flush=True)


def close_connections() -> None:
    """Close the connections here: this broker has no server that could do it."""
    connections = [app.pool.acquire(block=True) for _ in range(THREADS)]
    for connection in connections:
        connection.close()
        connection.release()
