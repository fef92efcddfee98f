"""`./quickstart`, run as somebody runs it who has just got a copy of the repository."""

from __future__ import annotations

import importlib
import os
import pty
import re
import signal
import subprocess
import sys
import urllib.request
import uuid
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis
from kombu import Connection

from cadasta.workertoolbox.tracked import TrackedTask
from rig.servers.broker import Broker
from rig.servers.environment import clean_environment
from rig.servers.postgres import ADMIN, ADMIN_PASSWORD, Database
from rig.servers.process import Process, Processes
from rig.servers.programs import find_program

# A busy machine takes minutes for what takes half a minute on an idle one.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(480)]

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / 'examples'
PROGRAM = [sys.executable, '-m', 'quickstart']

TASKS = {
    'A task': {('export.parcels', 'export', 'SUCCESS'): 1},
    'A chain': {('export.parcels', 'export', 'SUCCESS'): 1, ('export.table', 'export', 'SUCCESS'): 1},
    "A chord, with its body in another service's queue": {
        ('celery.chord_unlock', 'msg', '-'): 1,
        ('export.map', 'export', 'SUCCESS'): 3,
        ('msg.send', 'msg', 'SUCCESS'): 1,
    },
    'A task that fails, with an errback in another codebase': {
        ('export.boundary', 'export', 'FAILURE'): 1,
        ('msg.alarm', 'msg', 'SUCCESS'): 1,
    },
    'A task that hands its followups on to the last step of a chord': {
        ('export.everything', 'export', 'SUCCESS'): 1,
        ('celery.chord_unlock', 'export', '-'): 1,
        ('export.map', 'export', 'SUCCESS'): 2,
        ('export.archive', 'export', 'SUCCESS'): 1,
        ('msg.send', 'msg', 'SUCCESS'): 1,
    },
}
#: The names in the deepest tree, with the branches that lead to them.
DEEPEST = [
    'export.everything',
    '└─ celery.chord_unlock',
    '   ├─ export.map',
    '   ├─ export.map',
    '   └─ export.archive',
    '      └─ msg.send',
]
VERDICT = 'OK: all 16 tasks of 5 workflows were tracked and ran, and every result is stored.'
ROW = re.compile(r'  (?P<task>\S+) +[0-9a-f]{8}  (?P<queue>[a-z]+)(?: x\d+)?, \S+\.fifo +(?P<state>\S+)')


class Quickstart:
    """Starts `./quickstart` in the virtual environment of the tests, and knows all processes that come of it.

    The script looks for the packages, and then becomes the program. Tests that are about the program alone start that.
    """

    def __init__(self, processes: Processes) -> None:
        self.processes = processes
        self.mark = str(uuid.uuid4())

    def start(self, *arguments: str, **environment: str) -> Process:
        return self.processes.start([str(ROOT / 'quickstart'), *arguments], self._environment(environment))

    def start_program(self, *arguments: str, **environment: str) -> Process:
        return self.processes.start([*PROGRAM, *arguments], self._environment(environment), EXAMPLES)

    def _environment(self, more: dict[str, str]) -> dict[str, str]:
        return clean_environment(VIRTUAL_ENV=sys.prefix, MARK=self.mark, **more)

    def running(self) -> list[psutil.Process]:
        return [process for process in psutil.process_iter() if self._is_marked(process)]

    def _is_marked(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get('MARK') == self.mark
        except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
            return False


@pytest.fixture
def quickstart(processes: Processes) -> Iterator[Quickstart]:
    """Nothing that a quickstart has started may be there when it has ended."""
    quickstart = Quickstart(processes)
    yield quickstart
    assert quickstart.running() == []


def owner(database: Database) -> dict[str, str]:
    """The environment of a database whose tables the quickstart is to make."""
    return {**database.environment, 'RESULT_DB_USER': ADMIN, 'RESULT_DB_PASS': ADMIN_PASSWORD}


def tasks_of(output: str) -> dict[str, Counter[tuple[str, str, str]]]:
    """The rows of the table below each title, by task, work queue and state."""
    tasks: dict[str, Counter[tuple[str, str, str]]] = {}
    for line in output.partition('The workflows, as')[0].splitlines():
        if line in TASKS:
            rows = tasks[line] = Counter()
        elif tasks and (row := ROW.match(line)):
            rows[row['task'], row['queue'], row['state']] += 1
    return tasks


def test_tracks_every_task_and_keeps_all_of_it_running(quickstart: Quickstart) -> None:
    process = quickstart.start('--keep')
    url = process.wait_for(r'Look at it: (\S+)', 300)[1]

    assert tasks_of(process.log) == TASKS, process.log
    assert VERDICT in process.log.splitlines()
    assert 'Messages, as the broker counts them: celery 0, export 7, msg 1, platform.fifo 8' in process.log
    assert 'LookupError: kibera has no boundary' in process.log
    trees = process.log.partition('The workflows, as')[2]
    assert re.findall(r'^(\w+): (\d) tasks?$', trees, re.MULTILINE) == [
        ('SUCCESS', '1'),
        ('SUCCESS', '2'),
        ('SUCCESS', '5'),
        ('FAILURE', '2'),
        ('SUCCESS', '6'),
    ]
    assert re.findall(r'-[0-9a-f]{12}  (.*\S)', trees)[-len(DEEPEST) :] == DEEPEST, trees
    assert not re.search('[\x1b\r\t]', process.log)
    with urllib.request.urlopen(url) as page:
        assert b'<h1>Now</h1>' in page.read()
    # As the page lists it: that it did its work is shown elsewhere.
    with urllib.request.urlopen(f'{url}tasks') as page:
        assert b'celery.chord_unlock' in page.read()
    programs = {' '.join(each.cmdline()) for each in quickstart.running()}
    for program in ('toolbox monitor', 'toolbox ui', 'worker --queues export', 'worker --queues msg'):
        assert any(program in command for command in programs), programs
    process.popen.send_signal(signal.SIGINT)
    assert process.wait() == 0, process.log


def test_mends_what_a_killed_worker_has_broken(quickstart: Quickstart) -> None:
    process = quickstart.start('--break', '--keep')
    url = process.wait_for(r'Look at it: (\S+)', 420)[1]

    [task_id] = re.findall(r'killed \(SIGKILL\) while it runs export\.film (\S+)', process.log)
    broken, mended = process.log.split('toolbox resend --lost --yes')
    assert f'{task_id}  STARTED  export  export.film  its worker, export@quickstart-' in broken
    assert f'{url}tasks?standing=lost' in broken
    assert f'\n{task_id}  export.film\n1 sent\n' in mended
    assert mended.partition('toolbox lost\n')[2].startswith('0 lost\n')
    assert 'OK: export.film was lost with its worker' in mended
    with urllib.request.urlopen(f'{url}tasks/{task_id}') as page:
        text = page.read().decode()
    assert '<h1>export.film <span class="state success">SUCCESS</span></h1>' in text
    assert '<dt>Runs</dt><dd>2</dd>' in text
    process.popen.send_signal(signal.SIGINT)
    assert process.wait() == 0, process.log


def test_breaks_nothing_on_a_broker_that_is_not_its_own(quickstart: Quickstart) -> None:
    process = quickstart.start_program('--break', CELERY_BROKER_URL='redis://127.0.0.1:1/0')

    assert process.wait() == 2, process.log
    assert 'unset CELERY_BROKER_URL' in process.log


def test_pictures_of_the_readme_are_taken_from_its_run(quickstart: Quickstart, tmp_path: Path) -> None:
    find_program('chromium')
    pictures = [sys.executable, str(ROOT / 'docs' / 'pictures.py'), str(tmp_path)]
    process = quickstart.processes.start(pictures, clean_environment(VIRTUAL_ENV=sys.prefix, MARK=quickstart.mark))

    assert process.wait(200) == 0, process.log
    tree = (tmp_path / 'tree.svg').read_text()
    text = ''.join(ET.fromstring(tree).itertext()).replace('\xa0', ' ')
    assert [name for name in DEEPEST if name not in text] == []
    assert VERDICT in text
    # It asks no other server for anything.
    assert re.findall(r'href|@import|url\((?!#)', tree) == []
    page = (tmp_path / 'page.png').read_bytes()
    assert page[:8] == b'\x89PNG\r\n\x1a\n'
    assert int.from_bytes(page[16:20]) == 1280
    assert len(page) < 200_000


@pytest.mark.parametrize('broker', ['redis'], indirect=True)
def test_leaves_redis_as_it_was(quickstart: Quickstart, broker: Broker, database: Database) -> None:
    with redis.Redis.from_url(broker.url) as client:
        client.lpush('export', 'a message of somebody else')

        process = quickstart.start_program(**broker.environment, **owner(database))

        assert process.wait() == 0, process.log
        assert tasks_of(process.log) == TASKS, process.log
        assert process.log.splitlines()[-1] == VERDICT
        assert client.keys() == [b'export']
        assert client.lrange('export', 0, -1) == [b'a message of somebody else']
    assert Counter(database.states().values()) == {'SUCCESS': 15, 'FAILURE': 1}


@pytest.mark.parametrize('broker', ['amqp'], indirect=True)
def test_leaves_rabbitmq_as_it_was(quickstart: Quickstart, broker: Broker, database: Database) -> None:
    with broker.connect() as connection:
        connection.default_channel.queue_declare('msg', durable=True, auto_delete=False)

        process = quickstart.start_program(**broker.environment, **owner(database))

        assert process.wait() == 0, process.log
        assert tasks_of(process.log) == TASKS, process.log
        assert process.log.splitlines()[-1] == VERDICT
        [platform] = set(re.findall(r'quickstart-\w+\.fifo', process.log))
        assert [name for name in ('celery', 'export', 'msg', platform) if is_there(name, connection)] == ['msg']
    assert Counter(database.states().values()) == {'SUCCESS': 15, 'FAILURE': 1}


@pytest.mark.parametrize('broker', ['amqp'], indirect=True)
def test_refuses_a_work_queue_that_is_in_use(quickstart: Quickstart, broker: Broker, database: Database) -> None:
    with broker.connect() as connection:
        connection.default_channel.queue_declare('export', durable=True, auto_delete=False)
        connection.Producer().publish('a message of somebody else', routing_key='export')

    process = quickstart.start(**broker.environment, **owner(database))

    assert process.wait() == 2, process.log
    assert "FAILED: Queue 'export' of the broker at amqp://test:**@127.0.0.1" in process.log
    assert broker.count('export') == 1
    assert database.states() == {}


@pytest.mark.parametrize('broker', ['redis'], indirect=True)
def test_fails_when_results_are_not_stored(quickstart: Quickstart, broker: Broker, database: Database) -> None:
    process = quickstart.start_program(
        '--timeout', '5', CELERY_TASK_IGNORE_RESULT='true', **broker.environment, **owner(database)
    )

    assert process.wait() == 1, process.log
    assert tasks_of(process.log)['A task'] == {('export.parcels', 'export', 'PENDING'): 1}, process.log
    assert database.states() == {}
    assert re.search(r'^- export\.parcels \S+: no result is stored, the state is PENDING$', process.log, re.MULTILINE)
    assert re.fullmatch(r'FAILED: \d+ things are not as they must be, see above\.', process.log.splitlines()[-1])


@pytest.mark.parametrize(
    ('environment', 'message'),
    [
        ({'RESULT_DB_PORT': '1', 'RESULT_DB_PASS': 'Pa55'}, 'Error: The database cannot be reached: conn'),
        ({'RESULT_DB_PORT': 'none'}, "RESULT_DB_PORT is 'none'"),
        ({'CELERY_BROKER_URL': 'redis://:Pa55@127.0.0.1:1/0'}, 'redis://:**@127.0.0.1:1/0, cannot be used'),
        ({'CELERY_BROKER_URL': 'carrier-pigeon://coop'}, 'carrier-pigeon://coop'),
    ],
)
def test_says_why_it_cannot_run(
    quickstart: Quickstart,
    database: Database,
    environment: dict[str, str],
    message: str,
) -> None:
    process = quickstart.start_program(**{**owner(database), **environment})

    assert process.wait() == 2, process.log
    assert message in process.log
    assert not re.search('Pa55|Traceback', process.log)


@pytest.mark.parametrize(
    ('environment', 'verdict'),
    [
        ({}, '\x1b[31mFAILED: RESULT_DB_PORT'),
        ({'NO_COLOR': '1'}, '\nFAILED: RESULT_DB_PORT'),
        ({'TERM': 'dumb'}, '\nFAILED: RESULT_DB_PORT'),
    ],
)
def test_colours_are_for_terminals_that_want_them(environment: dict[str, str], verdict: str) -> None:
    controller, terminal = pty.openpty()
    subprocess.run(
        PROGRAM,
        stdout=terminal,
        cwd=EXAMPLES,
        env=clean_environment(
            **{
                'VIRTUAL_ENV': sys.prefix,
                'TERM': 'xterm',
                'CELERY_BROKER_URL': 'memory://',
                'RESULT_DB_PORT': 'none',
                **environment,
            }
        ),
    )
    os.close(terminal)

    # It may come in pieces. Linux answers with an error when there is no more.
    shown = b''
    with os.fdopen(controller, 'rb', buffering=0) as output, suppress(OSError):
        while chunk := output.read(10_000):
            shown += chunk
    assert verdict in shown.decode()


@pytest.mark.parametrize(('line', 'signal_number'), [('Broker: ', signal.SIGTERM), ('Workers: ', signal.SIGINT)])
def test_ends_all_that_it_started(quickstart: Quickstart, line: str, signal_number: signal.Signals) -> None:
    process = quickstart.start_program()
    process.wait_for(line, 300)
    assert len(quickstart.running()) > 0

    process.popen.send_signal(signal_number)

    assert process.wait() == 128 + signal_number, process.log
    assert process.log.splitlines()[-1] == 'INTERRUPTED: no verdict. All that was started has ended.'


def is_there(queue: str, connection: Connection) -> bool:
    try:
        connection.channel().queue_declare(queue, passive=True)
    except connection.channel_errors:
        return False
    return True


GOOD: dict[str, Any] = {'is_tracked': True, 'on_work_queues': Counter(export=1), 'state': 'SUCCESS', 'result': '[]'}


@pytest.mark.parametrize(
    ('change', 'problem'),
    [
        ({}, None),
        ({'is_tracked': False}, 'export.parcels id: not tracked, no message of it reached the platform queue'),
        ({'on_work_queues': Counter()}, 'export.parcels id: no message of it was received from a work queue'),
        ({'on_work_queues': Counter(export=1, msg=1)}, 'export.parcels id: 2 messages were received from work queues'),
        ({'state': 'STARTED'}, 'export.parcels id: no result is stored, the state is STARTED'),
        ({'state': 'FAILURE', 'result': 'OSError: disk full'}, 'export.parcels id: FAILURE, OSError: disk full'),
    ],
)
def test_verdict_on_a_task(monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], problem: str | None) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    verdict, observation = map(importlib.import_module, ('quickstart.verdict', 'quickstart.observation'))
    task = observation.Tracked('id', 'export.parcels', **{**GOOD, **change})

    assert list(verdict.problems({'task': [task]}, [])) == ([problem] if problem else [])
    assert verdict.is_complete('task', [task]) == (task.state in ('SUCCESS', 'FAILURE'))


def test_verdict_on_a_workflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    verdict, observation = map(importlib.import_module, ('quickstart.verdict', 'quickstart.observation'))
    task = observation.Tracked('id', 'export.parcels', **GOOD)

    assert list(verdict.problems({'chain': [task]}, [])) == ['A chain: 0 instead of 1 tasks export.table']
    assert not verdict.is_complete('chain', [task])
    assert list(verdict.problems({}, [task])) == ['export.parcels id: belongs to none of the workflows']


MENDED: dict[str, Any] = {
    'task_id': 'id',
    'lost': (1, 'id\tSTARTED'),
    'listed': '<td>id</td>',
    'resent': (0, 'id\texport.film'),
    'tasks': [
        TrackedTask('1', 'SUCCESS', name='export.parcels', runs=1),
        TrackedTask('id', 'SUCCESS', name='export.film', runs=2),
        TrackedTask('3', 'SUCCESS', name='msg.send', runs=1),
    ],
    'lost_after': (0, '0 lost'),
}


@pytest.mark.parametrize(
    ('change', 'problems'),
    [
        ({}, []),
        ({'listed': None}, []),
        ({'lost': (0, '0 lost')}, ['`toolbox lost` did not show id, and ended with 0']),
        ({'lost': (1, 'another')}, ['`toolbox lost` did not show id, and ended with 1']),
        ({'listed': 'None.'}, ['the page did not list id as lost']),
        ({'resent': (1, 'id\trefused')}, ['`toolbox resend` did not send id, and ended with 1']),
        ({'resent': (0, '0 sent')}, ['`toolbox resend` did not send id, and ended with 0']),
        ({'lost_after': (1, '1 lost')}, ['`toolbox lost` ended with 1 in the end']),
        (
            {'tasks': [MENDED['tasks'][0], TrackedTask('id', 'SUCCESS', name='export.film', runs=1)]},
            [
                'export.film: started 1 times instead of 2',
                'msg.send: not sent in the end',
                'msg.send: started 0 times instead of 1',
            ],
        ),
        (
            {'tasks': [*MENDED['tasks'][:2], TrackedTask('3', 'FAILURE', name='msg.send', runs=1)]},
            ['msg.send: FAILURE in the end'],
        ),
    ],
)
def test_verdict_on_what_was_broken(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], problems: list[str]
) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    verdict = importlib.import_module('quickstart.verdict')

    assert list(verdict.not_mended(verdict.Mended(**{**MENDED, **change}))) == problems
