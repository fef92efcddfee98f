"""`celery -A project toolbox tasks`: on a terminal, in a pipe, as JSON, and live."""

from __future__ import annotations

import csv
import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path

import pytest
from celery import Celery
from celery.bin.base import CLIContext
from click.testing import CliRunner, Result
from rich.console import Console

from cadasta.workertoolbox.commands import toolbox
from cadasta.workertoolbox.commands.tasks import tasks as command
from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.terminal import tasks as terminal_tasks
from cadasta.workertoolbox.terminal.output import make_console
from cadasta.workertoolbox.terminal.tasks import Screen
from cadasta.workertoolbox.tracked import STATES, TrackedTask, tree
from cadasta.workertoolbox.tracked.task import STANDINGS
from rig.monitor.databases import TaskDatabase
from rig.monitor.programs import Toolbox
from rig.servers.process import Processes, wait_until

from ..conftest import make_broker
from ..tracked.rows import NOON, minutes, schedule, schedule_all, store

CONTROL = re.compile(r'[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]')
HOSTILE = 'a.\x1b]0;x\x07\x1b[31m[red]b[/red] :smile:\n\r\tc\u202egnp.\u2066\x9b31m'


@pytest.fixture
def app() -> Celery:
    app = Celery('tasks', set_as_current=False)
    app.config_from_object(Config(broker_url='memory://', result_backend='rpc://'))
    return app


class Shell:
    """Runs the command in a process of the test's own."""

    def __init__(self, app: Celery, url: str) -> None:
        self.app, self.url = app, url

    def __call__(self, *arguments: str, **environment: str) -> Result:
        return CliRunner().invoke(
            toolbox,
            ['tasks', *arguments],
            obj=CLIContext(self.app, no_color=False, workdir=None),
            env={'TOOLBOX_DATABASE': self.url, 'NO_COLOR': None, 'FORCE_COLOR': None, 'COLUMNS': None, **environment},
        )

    def lines(self, *arguments: str, **environment: str) -> list[list[str]]:
        """Gives what it writes into a pipe."""
        result = self(*arguments, **environment)
        assert result.exit_code == 0, result.output
        assert not CONTROL.search(result.output)
        return [line.split('\t') for line in result.output.splitlines()]

    def terminal(self, *arguments: str, width: int = 120, **environment: str) -> str:
        """Gives what it writes to a terminal."""
        result = self(*arguments, FORCE_COLOR='1', TERM='xterm', COLUMNS=str(width), **environment)
        assert result.exit_code == 0, result.output
        return result.output


@pytest.fixture
def shell(app: Celery, tasks: TaskDatabase) -> Shell:
    return Shell(app, tasks.url)


@pytest.fixture
def some(tasks: TaskDatabase) -> None:
    schedule(
        tasks,
        'a',
        1,
        args=[7, 'x'],
        kwargs={'key': 'secret'},
        options={'argsrepr': 'secret'},
        sent=minutes(0),
        group_id='g',
    )
    schedule(tasks, 'b', 2, name='msg.send', routing_key='msg', root_id='a', parent_id='a')
    schedule(
        tasks, 'c', 3, name='msg.send', routing_key='msg', root_id='a', parent_id='a', args="('repr',)", kwargs='{}'
    )
    # Its monitor was late.
    ran = {'started': minutes(1), 'worker': 'export@host#7.0a', 'retries': 0, 'replaced': 0}
    store(tasks, 'a', 'SUCCESS', 1.5, result=b'"secret"', **ran)
    store(tasks, 'b', 'FAILURE', 3, result=b'\x81\x04nojson', traceback='secret')
    store(tasks, 'early', 'STARTED')


def plain(text: str) -> str:
    return re.sub(r'\x1b\[[0-9;]*m', '', text)


@pytest.mark.usefixtures('some')
def test_lines_of_fields(shell: Shell) -> None:
    assert [line[:6] for line in shell.lines()] == [
        ['2030-01-01T12:03:00+00:00', 'PENDING', '', 'c', 'msg', 'msg.send'],
        ['2030-01-01T12:02:00+00:00', 'FAILURE', '60.000', 'b', 'msg', 'msg.send'],
        ['2030-01-01T12:01:00+00:00', 'SUCCESS', '90.000', 'a', 'export', 'export.project'],
        ['', 'STARTED', '', 'early', '', '(not stored)'],
    ]
    assert [line[6:] for line in shell.lines()] == [
        ['queued', '', '', ''],
        ['failed', '', '', ''],
        ['succeeded', '60.000', '30.000', 'export@host#7.0a'],
        ['running', '', '', ''],
    ]
    assert [line[6:8] for line in shell.lines('--show-arguments')] == [
        ["('repr',) {}", 'queued'],
        ['() → 8 bytes', 'failed'],
        ['(7, "x", key="secret") → "secret"', 'succeeded'],
        ['()', 'running'],
    ]


@pytest.mark.usefixtures('some')
@pytest.mark.parametrize(
    ('arguments', 'expected'),
    [
        (['--state', 'failure'], 'b'),
        (['--name', 'msg.*'], 'cb'),
        (['--name', 'export.project'], 'a'),
        (['--root', 'a'], 'cba'),
        (['--queue', 'export'], 'a'),
        (['--limit', '1'], 'c'),
        (['--newer-than', '1w'], 'cba'),
        (['--older-than', '1w'], ''),
        (['--since', '2030-01-01 13:02'], ''),
        (['--since', '2030-01-01 12:02'], 'cb'),
        (['--since', '2030-01-01T12:03+01:00'], 'cba'),
        (['--until', '2030-01-01 12:02'], 'a'),
        (['--id', 'ea'], 'early'),
        (['--argument', 'key=secret'], 'a'),
        (['--argument', '0=7'], 'a'),
        (['--error', 'KeyError'], ''),
        (['--worker', 'export@host'], 'a'),
        (['--group', 'g'], 'a'),
        (['--standing', 'QUEUED'], 'c'),
    ],
)
def test_conditions(shell: Shell, arguments: list[str], expected: str) -> None:
    assert ''.join(line[3] for line in shell.lines(*arguments)) == expected
    name, value = arguments
    variable = f'TOOLBOX_{name.lstrip("-").upper().replace("-", "_")}'
    assert ''.join(line[3] for line in shell.lines(**{variable: value})) == expected


@pytest.mark.usefixtures('some')
def test_time_zone(shell: Shell) -> None:
    zone = ('--timezone', 'Europe/Berlin')
    assert [line[3] for line in shell.lines(*zone, '--since', '2030-01-01 13:02', '--newer-than', '1w')] == ['c', 'b']
    assert [line[3] for line in shell.lines(*zone, '--until', '2030-01-01 13:02', '--since', '2029-01-01')] == ['a']
    assert shell.lines(*zone)[0][0] == '2030-01-01T13:03:00+01:00'
    for form in ('--json', '--csv'):
        assert '2030-01-01T13:03:00+01:00' in shell(*zone, form).output


def test_a_time_that_another_zone_does_not_know(shell: Shell, tasks: TaskDatabase) -> None:
    schedule(tasks, 'a', eta=datetime.max.replace(tzinfo=UTC))
    assert '9999-12-31T23:59:59.999999+00:00' in shell('--json', '--timezone', 'Asia/Tokyo').output


@pytest.mark.usefixtures('some')
def test_csv(shell: Shell, tasks: TaskDatabase) -> None:
    schedule(tasks, 'd', 4, name='=1+1', timelimit=[7, None], origin='a\nb')
    output = shell('--csv').output
    assert 'secret' not in output
    assert '\n\n' not in output
    first, *others = csv.DictReader(StringIO(output))
    assert [row['task_id'] for row in others] == ['c', 'b', 'a', 'early']
    assert (first['name'], first['timelimit'], first['origin']) == ("'=1+1", '[7, null]', r'a\nb')
    assert (float(others[2]['waited']), others[2]['standing']) == (pytest.approx(60), 'succeeded')
    assert (others[2]['first_seen'], others[0]['started']) == (minutes(1).isoformat(), '')
    assert list(first) == list(json.loads(shell('--json', '--limit', '1').output))
    whole = list(csv.DictReader(StringIO(shell('--csv', '--show-arguments').output)))[3]
    assert (whole['args'], whole['kwargs'], whole['result']) == ('[7, "x"]', '{"key": "secret"}', '"secret"')
    assert not CONTROL.search(output)


def test_long_lists_come_in_portions(shell: Shell, tasks: TaskDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal_tasks, '_ROWS', 3)
    schedule_all(tasks, [{'task_id': f'task{number}'} for number in range(7)])
    shown = plain(shell.terminal())
    assert shown.count('STATE') == 3
    assert re.findall(r'task\d', shown) == [f'task{number}' for number in reversed(range(7))]


def test_large_values_are_cut(shell: Shell, tasks: TaskDatabase) -> None:
    schedule(tasks, 'a', 3, args=['x' * 5_000], kwargs={'y': 1})
    schedule(tasks, 'b', 2, args=[7], kwargs={'y': 'x' * 5_000})
    schedule(tasks, 'c', 1, args=[7])
    store(tasks, 'c', result=b'"' + b'x' * 5_000 + b'"')
    schedule(tasks, 'd')
    store(tasks, 'd', result=b'\xff' * 5_000)
    for arguments in ([], ['--tree', 'c'], ['--tree', 'd']):
        found = {line[3]: line[6] for line in shell.lines('--show-arguments', *arguments) if len(line) > 6}
        assert (
            found.items()
            <= {
                'a': '("' + 498 * 'x',
                'b': '(7, "y": "' + 490 * 'x',
                'c': '(7) → "' + 493 * 'x',
                'd': '() → 5000 bytes',
            }.items()
        )
        assert found
    whole = [json.loads(line) for line in shell('--json', '--show-arguments').output.splitlines()]
    assert [len(row['args'][0]) for row in whole[:1]] == [5_000]


@pytest.mark.parametrize(
    ('arguments', 'shown'),
    [
        (['--state', 'FAILURE'], {'a': 'STARTED', 'a2': 'FAILURE'}),
        (['--state', 'SUCCESS'], {'a': 'STARTED', 'u': 'SUCCESS', 'z': 'SUCCESS'}),
        (['--group', 'g'], {'a': 'STARTED', 'u': 'SUCCESS', 'h': 'SUCCESS'}),
        (['--name', 'body'], {'a': 'STARTED', 'u': 'SUCCESS', 'z': 'SUCCESS'}),
        (['--error', 'KeyError'], {}),
    ],
)
def test_a_tree_that_is_narrowed(
    shell: Shell, tasks: TaskDatabase, arguments: list[str], shown: dict[str, str]
) -> None:
    body = {'task': 'body', 'options': {'task_id': 'z'}}
    schedule(tasks, 'a')
    for number in (1, 2, 3):
        schedule(tasks, f'a{number}', number, root_id='a', parent_id='a')
    schedule(tasks, 'u', 4, name='celery.chord_unlock', args=['g', body], root_id='a', parent_id='a')
    schedule(tasks, 'h', 5, group_id='g', root_id='a', parent_id='a')
    schedule(tasks, 'z', 6, name='body', root_id='a', parent_id='u')
    store(tasks, 'a', 'STARTED')
    store(tasks, 'a2', 'FAILURE')
    store(tasks, 'z')
    if '--group' in arguments:
        store(tasks, 'h')
    heading, *lines = shell.lines('--tree', 'a1', *arguments)
    assert {line[3]: line[1] for line in lines} == shown
    assert heading == [f'FAILURE: {len(shown)} of 7 tasks']
    assert shell('--json', '--tree', 'a1', *arguments).output.count('"task_id"') == len(shown)


def test_ages(shell: Shell, tasks: TaskDatabase) -> None:
    schedule(tasks, 'old', (datetime.now(UTC) - timedelta(hours=3) - NOON) / timedelta(minutes=1))
    assert [line[3] for line in shell.lines('--older-than', '2h')] == ['old']
    assert shell.lines('--newer-than', '100m') == shell.lines('--older-than', '4h') == []
    assert ' 3h  ' in plain(shell.terminal())


@pytest.mark.usefixtures('some')
def test_tree(shell: Shell) -> None:
    assert [line[5 % len(line)] for line in shell.lines('--tree', 'b')] == [
        'FAILURE: 3 tasks',
        'export.project',
        '  msg.send',
        '  msg.send',
    ]
    shown = plain(shell.terminal('--tree', 'c', '--show-arguments'))
    lines = [line.rstrip() for line in shown.splitlines()]
    assert lines[0] == 'FAILURE: 3 tasks'
    assert lines[1].split() == ['STATE', 'TOOK', 'ID', 'NAME']
    assert lines[2].split(maxsplit=3) == ['SUCCESS', '90s', 'a', 'export.project(7, "x", key="secret") → "secret"']
    assert lines[3].endswith('b   ├─ msg.send() → 8 bytes')
    assert lines[4].endswith("c   └─ msg.send('repr',) {}")
    assert [line[5 % len(line)] for line in shell.lines('--tree', 'early')] == ['STARTED: 1 task', '(not stored)']


@pytest.mark.usefixtures('some')
def test_json(shell: Shell) -> None:
    output = shell('--json').output
    documents = [json.loads(line) for line in output.splitlines()]
    assert [document['task_id'] for document in documents] == ['c', 'b', 'a', 'early']
    assert documents[2]['first_seen'] == minutes(1).isoformat()
    assert (documents[2]['status'], documents[2]['duration']) == ('SUCCESS', 90)
    assert 'secret' not in output
    whole = json.loads(shell('--json', '--show-arguments').output.splitlines()[2])
    assert (whole['args'], whole['kwargs'], whole['result']) == ([7, 'x'], {'key': 'secret'}, '"secret"')
    tree = json.loads(shell('--json', '--tree', 'b').output)
    assert tree['state'] == 'FAILURE'
    (root,) = tree['tasks']
    assert (root['task_id'], root['state']) == ('a', 'SUCCESS')
    assert [(child['task_id'], child['children']) for child in root['children']] == [('b', []), ('c', [])]


@pytest.mark.long
def test_a_tree_of_any_depth(shell: Shell, tasks: TaskDatabase) -> None:
    schedule_all(
        tasks,
        [{'task_id': f'{number:04}', 'root_id': '0000', 'parent_id': f'{number - 1:04}'} for number in range(1_200)],
    )
    output = shell('--json', '--tree', '0700').output
    assert output.count('"task_id"') == output.count(']}') - 1 == 1_200
    assert len(shell.lines('--tree', '0700')) == 1_201
    last = plain(shell.terminal('--tree', '0700', width=80)).splitlines()[-1]
    assert last.endswith('└─ export.project')


@pytest.mark.parametrize('width', [40, 80, 99, 100, 119, 120])
def test_a_table_fits_the_terminal(shell: Shell, tasks: TaskDatabase, width: int) -> None:
    names = ['short', 'long.' * 50, 'breit.\u5927' * 30]
    for number, name in enumerate(names):
        schedule(tasks, f'0123456789-0123456789-0123456789-{number}', number, name=name, args=['x' * 1000])
    for arguments in ([], ['--show-arguments'], ['--tree', '0123456789-0123456789-0123456789-0']):
        lines = plain(shell.terminal(*arguments, width=width)).splitlines()
        assert max(map(len, lines)) <= width
    lines = plain(shell.terminal(width=width)).splitlines()
    assert len(lines) == 4
    assert ('QUEUE' in lines[0]) == ('WAITED' in lines[0]) == (width >= 100)
    assert ('TOOK' in lines[0]) == (width < 100)
    assert ('STANDING' in lines[0]) == (width >= 120)
    if width >= 80:
        assert all(f'0123456789-0123456789-0123456789-{number}' in ''.join(lines) for number in range(3))


def test_a_narrow_terminal_has_room_for_names(shell: Shell, tasks: TaskDatabase) -> None:
    schedule(tasks, '0123456789', 0, name='export.project')
    schedule(tasks, 'abcdefghij', 1, root_id='0123456789', parent_id='0123456789', name='export.archive')
    shown = plain(shell.terminal(width=60))
    assert 'export.project' in shown
    assert '01234567 ' in shown
    assert '└─ export.archive' in plain(shell.terminal('--tree', '0123456789', width=60))
    assert [line[3] for line in shell.lines('--id', '01234567')] == ['0123456789']


@pytest.mark.parametrize(
    ('stored', 'shown'),
    [
        ('{"exc_type": "KeyError", "exc_message": ["parcel 42"], "exc_module": "builtins"}', 'KeyError: parcel 42'),
        ('{"exc_type": "Away", "exc_message": [42, "x"], "exc_module": "gis.errors"}', 'gis.errors.Away: 42, x'),
        ('{"exc_type": "KeyError", "exc_message": [], "exc_module": "builtins"}', 'KeyError'),
        ('{"exc_type": "KeyError", "exc_message": "parcel 42"}', 'KeyError: parcel 42'),
        (f'{{"exc_type": "ValueError", "exc_message": ["{"x" * 9_000}"]}}', f'ValueError: {"x" * 200}'),
        ('["exc_type"]', '["exc_type"]'),
        ('no JSON', '7 bytes'),
    ],
)
def test_the_text_of_an_error(shell: Shell, tasks: TaskDatabase, stored: str, shown: str) -> None:
    schedule(tasks, 'a', 0)
    store(tasks, 'a', 'FAILURE', result=stored.encode())
    assert f' → {shown}' in shell.lines('--show-arguments')[0][6]


@pytest.mark.usefixtures('some')
def test_colours(shell: Shell) -> None:
    assert '\x1b[32mSUCCESS' in shell.terminal()
    assert '\x1b[32m' not in shell.terminal(NO_COLOR='1')
    assert '\x1b' not in shell(TERM='dumb').output
    # Such a terminal can print lines, and no more.
    assert shell(FORCE_COLOR='1', TERM='dumb').output == shell().output


def test_hostile_text(shell: Shell, tasks: TaskDatabase) -> None:
    schedule(tasks, f'a{HOSTILE}', name=HOSTILE, routing_key=HOSTILE, args=[HOSTILE], kwargs={HOSTILE: HOSTILE})
    store(tasks, f'a{HOSTILE}', 'SUCCESS', result=json.dumps(HOSTILE).encode())
    store(tasks, 'b', HOSTILE, result=HOSTILE.encode())
    for arguments in (
        [],
        ['--show-arguments'],
        ['--json', '--show-arguments'],
        ['--tree', f'a{HOSTILE}'],
        ['--tree', 'b'],
    ):
        assert len(shell.lines(*arguments)) == 2
        shown = shell.terminal(*arguments, width=1000)
        assert not CONTROL.search(plain(shown))
        if '--json' not in arguments and 'b' not in arguments:
            assert r'a.\x1b]0;x\x07\x1b[31m[red]b[/red] :smile:\n\r\tc\u202egnp.\u2066\x9b31m' in plain(shown)


@pytest.mark.parametrize(
    ('arguments', 'code', 'error'),
    [
        (['--tree', 'x'], 1, "Error: No task 'x' is known: its id is wrong, or no monitor has stored it yet"),
        (['--tree', 'x', '--follow'], 2, '--tree shows a whole workflow'),
        (['--csv', '--json'], 2, '--csv prints a list: give no --json'),
        (['--csv', '--follow'], 2, '--csv prints a list'),
        (['--tree', 'x', '--csv'], 2, '--csv prints a list'),
        (['--since', 'yesterday'], 2, "'yesterday' is no time. Write it 2026-11-20"),
        (['--timezone', 'Berlin'], 2, "'Berlin' is no time zone. Write it Europe/Berlin"),
        (['--timezone', '../etc'], 2, 'is no time zone'),
        (['--argument', 'customer'], 2, "'customer' is no NAME=VALUE. Write it customer=42"),
        (['--argument', 'a b=1'], 2, 'is no NAME=VALUE'),
        (['--argument', '99999=1'], 2, 'is no NAME=VALUE'),
        (['--newer-than', 'yesterday'], 2, "'yesterday' is no age. Write it 30s, 15m"),
        (['--older-than', '1'], 2, "'1' is no age"),
        (['--newer-than', '1000000w'], 2, 'is no age'),
        (['--state', 'FAILED'], 2, "'FAILED' is not one of"),
        (['--limit', '0'], 2, "'--limit'"),
        (['--database', 'postgresql://ada:hush@127.0.0.1:1/'], 1, 'Error: The database cannot be reached'),
        (['--database', 'mysql://ada:hush@127.0.0.1:1/'], 1, 'is not the URL of a PostgreSQL or SQLite database'),
        (
            ['--database', 'sqlite://'],
            1,
            "Error: The database has no view 'celery_task_scheduled': run `celery toolbox tabl",
        ),
    ],
)
def test_errors(shell: Shell, arguments: list[str], code: int, error: str) -> None:
    result = shell(*arguments)
    assert result.exit_code == code
    assert error in result.output
    assert 'hush' not in result.output


def test_no_database_is_known(shell: Shell) -> None:
    result = Shell(shell.app, '')()
    assert result.exit_code == 2
    assert 'result_backend is no database: give --database' in result.output


def test_states_are_those_of_celery() -> None:
    choices = {option.name: option.type.to_info_dict().get('choices') for option in command.params}
    assert (choices['state'], choices['standing']) == (STATES, STANDINGS)


def test_an_output_that_is_no_file() -> None:
    with redirect_stdout(StringIO()) as output:
        Screen(make_console(), arguments=True).line(TrackedTask('a', 'PENDING', args=7, kwargs=7))
    assert output.getvalue() == '\tPENDING\t\ta\t\t(not stored)\t()\tunknown\t\t\t\n'


@pytest.mark.parametrize(('encoding', 'branch'), [('utf-8', '└─ '), ('latin-1', '`- '), ('ascii', '`- ')])
def test_a_tree_is_drawn_in_a_pipe_if_asked_for(encoding: str, branch: str) -> None:
    with TextIOWrapper(BytesIO(), encoding) as pipe:
        console = Console(file=pipe)
        tasks = [
            TrackedTask('a', 'SUCCESS', name='export.map'),
            TrackedTask('b', 'SUCCESS', name='msg.send', parent_id='a'),
        ]
        console.print(Screen(console).drawing('SUCCESS', tree(tasks)))
        pipe.seek(0)
        lines = [line.rstrip() for line in pipe]
    assert lines[0] == 'SUCCESS: 2 tasks'
    assert lines[1].split() == ['STATE', 'TOOK', 'ID', 'NAME']
    assert lines[2].endswith('a   export.map')
    assert lines[3].endswith(f'b   {branch}msg.send')
    assert not any(CONTROL.search(line) for line in lines)


@pytest.mark.parametrize(('width', 'branches'), [(60, 20), (100, 28)])
def test_deep_branches_leave_room_for_the_name(width: int, branches: int) -> None:
    deep = [TrackedTask(f'{n:02}', 'SUCCESS', name='export.map', parent_id=f'{n - 1:02}') for n in range(40)]
    console = Console(file=StringIO(), width=width)
    with console.capture() as capture:
        console.print(Screen(console).drawing('SUCCESS', tree(deep)))
    _, heading, *_, last = capture.get().splitlines()
    assert heading.startswith('STATE ')
    assert last.index('└─ export.map') - heading.index('NAME') == branches


class TestProcess:
    """The real program."""

    @pytest.fixture
    def toolbox(
        self, request: pytest.FixtureRequest, tmp_path: Path, processes: Processes, postgresql: TaskDatabase
    ) -> Iterator[Toolbox]:
        broker = make_broker('memory', request, tmp_path)
        yield Toolbox(tmp_path, processes, broker, postgresql.url)
        broker.close()

    def test_follow_in_a_pipe(self, toolbox: Toolbox, postgresql: TaskDatabase) -> None:
        for number in range(4):
            schedule(postgresql, f'old{number}', number)
        process = toolbox.start('tasks', '--follow', '--limit', '2')
        process.wait_for('old3')
        schedule(postgresql, 'new', 5)
        process.wait_for('PENDING\t\tnew')
        store(postgresql, 'new', 'STARTED', 5)
        process.wait_for('STARTED\t\tnew')
        store(postgresql, 'old0', 'FAILURE', 6)
        process.wait_for('FAILURE\t360.000\told0')
        process.popen.send_signal(signal.SIGINT)
        assert process.wait() == 0
        assert [line.split('\t')[3] for line in process.log.splitlines()] == ['old2', 'old3', 'new', 'new', 'old0']
        assert not CONTROL.search(process.log)

    def test_follow_a_state_as_json(self, toolbox: Toolbox, postgresql: TaskDatabase) -> None:
        schedule(postgresql, 'a', 0)
        store(postgresql, 'b', 'FAILURE')
        process = toolbox.start('tasks', TOOLBOX_FOLLOW='1', TOOLBOX_STATE='FAILURE', TOOLBOX_JSON='1')
        process.wait_for('"b"')
        store(postgresql, 'a', 'FAILURE')
        process.wait_for('"a"')
        process.popen.send_signal(signal.SIGINT)
        assert process.wait() == 0
        assert [json.loads(line)['task_id'] for line in process.log.splitlines()] == ['b', 'a']

    def test_follow_on_a_terminal(self, toolbox: Toolbox, postgresql: TaskDatabase) -> None:
        schedule(postgresql, 'a', 0)
        ours, theirs = pty.openpty()
        shown = b''
        process = subprocess.Popen(
            [sys.executable, '-m', 'celery', '-A', 'project', 'toolbox', 'tasks', '--follow'],
            env={**toolbox.environment, 'TERM': 'xterm', 'COLUMNS': '100', 'LINES': '24'},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )

        def shows(text: bytes) -> bool:
            nonlocal shown
            shown += os.read(ours, 65536)
            return text in shown

        try:
            wait_until(lambda: shows(b'PENDING'), 'the task to be shown')
            store(postgresql, 'a', 'FAILURE')
            wait_until(lambda: shows(b'FAILURE'), 'the change to be shown')
            process.send_signal(signal.SIGINT)
            # The cursor is back.
            wait_until(lambda: shows(b'\x1b[?25h'), 'the end')
            assert process.wait(120) == 0
        finally:
            process.kill()
            process.wait()
            os.close(theirs)
            os.close(ours)


def test_why_a_task_was_not_sent(shell: Shell, tasks: TaskDatabase) -> None:
    chain = {'chain': [{'task': 'export.table', 'options': {'task_id': 'b'}}]}
    schedule(tasks, 'a', options=chain)
    store(tasks, 'a', 'FAILURE')
    store(tasks, 'b', 'FAILURE', runs=0)
    note = 'not sent: the step before failed'
    last = plain(shell.terminal('--tree', 'a')).splitlines()[-1]
    assert last.split() == ['UNSENT', 'b', '└─', 'export.table', *note.split()]
    assert shell.lines('--tree', 'a')[2][5:7] == ['  export.table', note]
    assert f'"note": "{note}"' in shell('--tree', 'a', '--json').output
