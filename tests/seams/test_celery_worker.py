"""The initialisation of a worker."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from celery import Celery
from celery.worker import loops, state

from cadasta.workertoolbox.seams.celery_worker import end_if_told, trace_again, wrap_handler
from rig.servers.environment import clean_environment

PROGRAM = """
import sys
from celery import Celery, signals
from cadasta.workertoolbox.seams.celery_worker import initialise_worker

app = Celery('seams', broker='memory://')
app.conf.worker_hijack_root_logger = False

def note(signal, sender, **kwargs):
    print(signal.name, type(sender).__mro__[-2].__name__, *sorted(kwargs), flush=True)

for signal in (signals.celeryd_init, signals.worker_init, signals.import_modules, signals.celeryd_after_setup):
    signal.connect(note)

@signals.worker_ready.connect
def stop(**kwargs):
    app.control.shutdown()

if sys.argv[1] == 'real':
    app.worker_main(['worker', '--pool', 'solo', '-l', 'CRITICAL', '--without-gossip', '--without-mingle'])
else:
    initialise_worker(app)
"""


def signals_of(kind: str, directory: Path) -> list[str]:
    """The signals that a worker sends, with their senders and arguments, in order."""
    shown = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', PROGRAM, kind],
        cwd=directory,
        env=clean_environment(),
        check=True,
        capture_output=True,
        text=True,
    )
    return [line for line in shown.stdout.splitlines() if line.startswith(('celeryd_', 'worker_', 'import_'))]


@pytest.mark.process
def test_it_sends_what_a_worker_sends_in_the_same_order(tmp_path: Path) -> None:
    initialised = signals_of('initialised', tmp_path)
    assert [line.split()[0] for line in initialised].count('celeryd_after_setup') == 1
    assert signals_of('real', tmp_path) == initialised


def test_the_handler_of_messages() -> None:
    """The loops of a worker ask the consumer for it, without arguments."""
    consumer = SimpleNamespace(create_task_handler=lambda: len)
    wrap_handler(consumer, lambda handle: lambda message: handle(message) + 1)
    assert consumer.create_task_handler()('four') == 5
    for loop in (loops.asynloop, loops.synloop):
        assert 'create_task_handler' in loop.__code__.co_names


def run() -> None: ...


def test_a_task_that_is_traced_again_calls_the_hooks_that_its_class_has_now() -> None:
    called: list[str] = []
    app = Celery('seams', broker='memory://', backend='cache+memory://', set_as_current=False)
    app.task(run, name='export.project', shared=False)
    task = app.tasks['export.project']
    trace_again(app, 'worker@here')
    kept = task.__trace__
    type(task).before_start = lambda self, task_id, args, kwargs: called.append(task_id)
    kept('one', (), {}, {})
    trace_again(app, 'worker@here')
    task.__trace__('two', (), {}, {})
    assert called == ['two']


def test_code_that_waits_ends_a_worker_that_was_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    end_if_told()
    monkeypatch.setattr(state, 'should_stop', 0)
    with pytest.raises(SystemExit):
        end_if_told()
