"""An app of plain Celery moves as the how-to shows: what was sent before is run, and what is sent then is tracked."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.servers.broker import PLATFORM_QUEUE, Broker
from rig.servers.environment import clean_environment
from rig.servers.process import Processes

from .manual import Manual
from .service import sqlite
from .terminal import Terminal

(PAGE,) = PAGES = ['howto/celery']

OLD = """
from celery import Celery

Celery('proj').send_task('proj.tasks.add', (1, 2), task_id='old')
"""
TASKS = """
from celery import shared_task

@shared_task
def add(x, y):
    return x + y
"""
NEW = """
from proj.tasks import add

add.apply_async((3, 4), task_id='new')
"""


@pytest.mark.slow
@pytest.mark.parametrize('broker', ['amqp'], indirect=True)
def test_it_moves(manual: Manual, broker: Broker, processes: Processes, tmp_path: Path) -> None:
    (tmp_path / 'proj').mkdir()
    (tmp_path / 'proj' / '__init__.py').write_text('from .celery import app\n')
    (tmp_path / 'proj' / 'tasks.py').write_text(TASKS)
    for block in manual.blocks(PAGE, 'python'):
        (tmp_path / block.caption).write_text(f'{block.text}\n')
    environment = clean_environment(tmp_path, **broker.environment, **sqlite(tmp_path))
    terminal = Terminal(processes, environment, tmp_path)
    for name, code in {'old.py': OLD, 'new.py': NEW}.items():
        (tmp_path / name).write_text(code)
    terminal.run('python old.py')
    assert broker.count('celery') == 1
    worker = Terminal(processes, environment, tmp_path)
    for block in manual.blocks(PAGE, 'console'):
        (worker if 'stays' in block.classes else terminal).follow(block, 120)
    terminal.run('python new.py')
    for task in ('old', 'new'):
        worker.shell.wait_for(rf'Task proj\.tasks\.add\[{task}\] succeeded', 120)
    worker.interrupt()
    assert [message.headers['id'] for message in broker.drain(PLATFORM_QUEUE)] == ['new']
