"""The worker of the how-tos runs, passes its tests, and hands on its work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.servers.environment import clean_environment
from rig.servers.filesystem import FilesystemBroker
from rig.servers.process import Process, Processes, wait_until

from .manual import Manual
from .service import sqlite
from .terminal import Terminal

WORKERS, TESTING, WORKFLOWS = PAGES = ['howto/workers', 'howto/testing', 'howto/workflows']


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[FilesystemBroker]:
    broker = FilesystemBroker(tmp_path)
    yield broker
    broker.close()


@pytest.fixture
def environment(manual: Manual, broker: FilesystemBroker, tmp_path: Path) -> dict[str, str]:
    """The environment for a directory with the files that the pages show."""
    for page in PAGES:
        for block in manual.blocks(page, 'python'):
            if block.caption:
                path = tmp_path / block.caption
                path.parent.mkdir(exist_ok=True)
                path.write_text(f'{block.text}\n')
    # The page on tests asks for this file.
    (tmp_path / 'export' / '__init__.py').touch()
    (tmp_path / 'site_settings.py').write_text("SECRET_KEY = 'secret'\n")
    return clean_environment(tmp_path, **broker.environment, **sqlite(tmp_path), DJANGO_SETTINGS_MODULE='site_settings')


@pytest.fixture
def terminal(environment: dict[str, str], processes: Processes, tmp_path: Path) -> Terminal:
    terminal = Terminal(processes, environment, tmp_path)
    terminal.run('celery -A export toolbox tables')
    return terminal


def test_messages_are_sent(terminal: Terminal, broker: FilesystemBroker) -> None:
    terminal.run('python send.py')
    assert (broker.count('export'), broker.count('platform.fifo')) == (2, 2)
    assert "no work queue serves its routing key 'import'" in terminal.run('python refused.py')
    terminal.run('python set_up.py')
    assert (broker.count('export'), broker.count('platform.fifo')) == (2, 2)


@pytest.fixture
def worker(
    manual: Manual, environment: dict[str, str], terminal: Terminal, processes: Processes, tmp_path: Path
) -> Iterator[Process]:
    """The worker that the page starts. It knows the tasks of the page on workflows as well."""
    (block,) = manual.blocks(WORKERS, 'console')
    ((command, _),) = block.commands
    worker = processes.start(
        [*command.split(), '--include', 'export.archives', '--loglevel', 'INFO'], environment, tmp_path
    )
    yield worker
    assert worker.stop() == 0


def test_the_worker_runs(terminal: Terminal, worker: Process) -> None:
    terminal.run('python send.py')
    worker.wait_for(r'Task export\.project\[.+ succeeded', 60)


def test_a_task_hands_on_its_work(terminal: Terminal, worker: Process, broker: FilesystemBroker) -> None:
    terminal.run(
        'python -c "from export.archives import app; app.send_task(\'export.archive\', (42,), link=LINK)"'.replace(
            'LINK', "app.signature('msg.done')"
        )
    )
    worker.wait_for(r'Task export\.project\[.+ succeeded', 60)
    wait_until(lambda: broker.count('msg'), 'the last step to be sent')
    (message,) = broker.drain('msg')
    assert message.headers['task'] == 'msg.notify'
    _, _, embedded = message.body
    assert [callback['task'] for callback in embedded['callbacks']] == ['msg.done']


def test_tests_pass_in_each_runner(manual: Manual, terminal: Terminal) -> None:
    for block in manual.blocks(TESTING, 'console'):
        terminal.follow(block)
