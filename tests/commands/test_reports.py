"""`celery -A project toolbox failures`, `stats` and `prune`, on tasks that a real worker has run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cadasta.workertoolbox.database import pruning
from cadasta.workertoolbox.database.pruning import Pruned
from rig.monitor.databases import TaskDatabase, url_of
from rig.servers.memory import MemoryBroker
from rig.servers.postgres import Database

from ..tracked.rows import store
from .ended import LOOKUPS, STORED, Ended, app_of, database_of, ended
from .running import on_terminal, run, seen


@pytest.fixture(scope='module', params=['postgresql', 'sqlite'])
def did(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ended]:
    directory = tmp_path_factory.mktemp('ended')
    with ended(directory, database_of(request.param, request, directory)) as made:
        yield made


@pytest.mark.slow
class TestFailures:
    def test_lines(self, did: Ended) -> None:
        lookups, refused = did.lines('failures')
        assert (lookups[0], lookups[5:]) == ('4', ['export.lookup', 'KeyError'])
        assert (refused[0], refused[5:]) == ('1', ['export.refuse', 'project.Refused'])
        assert float(lookups[1]) == pytest.approx(4 / 24, abs=0.001)
        assert lookups[4] in LOOKUPS
        assert refused[4] == 'refused'
        first, last = (datetime.fromisoformat(text) for text in lookups[2:4])
        assert datetime.now(UTC) - timedelta(minutes=10) < first <= last <= datetime.now(UTC)

    def test_messages(self, did: Ended) -> None:
        lookups, refused = did.lines('failures', '--show-arguments')
        assert lookups[7] == 'no parcel # at <object at #>'
        assert refused[7] == r'not \x1b[#m today, #'

    def test_by_error_or_task(self, did: Ended) -> None:
        assert [line[5:] for line in did.lines('failures', '--by', 'error')] == [['KeyError'], ['project.Refused']]
        by_task = [[line[0], *line[5:]] for line in did.lines('failures', '--by', 'task', '--show-arguments')]
        assert by_task == [['4', 'export.lookup'], ['1', 'export.refuse']]

    def test_conditions(self, did: Ended) -> None:
        assert [line[4] for line in did.lines('failures', '--name', 'export.ref*')] == ['refused']
        assert len(did.lines('failures', '--queue', 'export')) == 2
        assert did.lines('failures', '--queue', 'msg') == []
        assert did.lines('failures', '--newer-than', '0s') == []

    def test_json(self, did: Ended) -> None:
        documents: list[dict[str, Any]] = [json.loads(line) for line in did('failures', '--json').stdout.splitlines()]
        assert list(documents[0]) == ['name', 'error', 'count', 'rate', 'first', 'last', 'example']
        shown = json.loads(did('failures', '--json', '--show-arguments').stdout.splitlines()[1])
        assert shown['message'] == 'not \x1b[#m today, #'

    def test_on_a_terminal(self, did: Ended) -> None:
        argv = [*did.toolbox.processes.started[-1].argv[:5], 'toolbox', 'failures', '--show-arguments']
        narrow = seen(on_terminal(argv, {**did.toolbox.environment, 'TERM': 'xterm', 'COLUMNS': '100'}))
        assert narrow[0] == 'COUNT LAST EXAMPLE NAME ERROR MESSAGE'
        assert narrow[1].split()[0] == '4'
        wide = did('failures', FORCE_COLOR='1', TERM='xterm', COLUMNS='120').output
        assert seen(wide)[0] == 'COUNT RATE FIRST LAST EXAMPLE NAME ERROR'
        assert ' 0.17/h ' in wide


@pytest.mark.slow
def test_stats(did: Ended) -> None:
    lines = {line[7]: line[:7] for line in did.lines('stats')}
    assert {name: (line[0], line[2]) for name, line in lines.items()} == {
        'export.lookup': ('4', '100.000'),
        'export.project': ('3', '0.000'),
        'export.refuse': ('1', '100.000'),
        'export.sleep': ('1', '0.000'),
        'msg.fail': ('1', ''),
    }
    waited, ran = ([float(value) for value in lines['export.sleep'][place : place + 2]] for place in (3, 5))
    assert waited[0] == waited[1] > 0
    assert 0.25 <= ran[0] == ran[1] < 60
    assert lines['msg.fail'][3:] == ['', '', '', '']
    assert did.lines('stats', '--newer-than', '0s') == []
    documents = [json.loads(line) for line in did('stats', '--json').stdout.splitlines()]
    (lookups,) = (document for document in documents if document['name'] == 'export.lookup')
    assert (lookups['count'], lookups['failed'], lookups['failed_percent']) == (4, 4, 100)
    assert 0 <= lookups['ran_p50'] <= lookups['ran_p95'] < 60
    shown = seen(did('stats', FORCE_COLOR='1', TERM='xterm', COLUMNS='100').output)
    assert shown[0] == 'COUNT RATE FAILED WAITED p50 p95 RAN p50 p95 NAME'
    assert shown[1].startswith('4 0.17/h 100.0 % ')


def counted(lines: list[list[str]]) -> Pruned:
    names, numbers = zip(*lines, strict=True)
    assert names == Pruned._fields
    return Pruned(*map(int, numbers))


@pytest.mark.slow
def test_what_has_ended_is_deleted_and_nothing_else(did: Ended, monkeypatch: pytest.MonkeyPatch) -> None:
    """This must be the last test of these tasks."""
    monkeypatch.setattr(pruning, 'PORTION', 2)
    before, results = did.ids(), did.ids('celery_taskmeta')
    assert results == STORED
    failed = {'lookup-1', 'lookup-2', 'lookup-3', 'first', 'refused'}
    prune = ('prune', '--older-than', '0s', '--failures-older-than', '1h')

    assert counted(did.lines('prune', '--older-than', '1h', '--yes')) == (0, 0, 0, 0, 0)
    would = did(*prune)
    assert would.stderr == 'would be deleted: repeat the command with --yes\n'
    assert (did.ids(), did.ids('celery_taskmeta')) == (before, results)

    view = did.tasks.execute("SELECT * FROM celery_task_status WHERE task_id = 'slept'")
    done = did.lines(*prune, '--archive', 'old tasks', '--yes')
    assert counted(done) == counted([line.split('\t') for line in would.stdout.splitlines()]) == (3, 3, 0, 0, 1)
    assert did.ids() == {*failed, 'waiting', 'queued'}
    assert did.ids('celery_taskmeta') == failed
    assert did.ids('"old tasks"') == before - did.ids() | {'never-sent'}
    (archived,) = did.tasks.execute('SELECT * FROM "old tasks" WHERE task_id = \'slept\'')
    assert {name: value for name, value in archived.items() if name != 'archived'} == dict(view[0])
    assert archived['archived'] is not None

    assert counted(did.lines('prune', '--older-than', '0s', '--archive', 'old tasks', '--yes')) == (5, 5, 0, 0, 0)
    assert did.ids() == {'waiting', 'queued'}
    assert did.ids('"old tasks"') == (before | {'never-sent'}) - {'waiting', 'queued'}

    # They are in a queue that has no worker.
    assert counted(did.lines('prune', '--older-than', '0s', '--unfinished', '--yes')) == (2, 0, 0, 0, 0)
    assert did.ids() == set()


@pytest.mark.parametrize(
    ('result', 'error'),
    [
        (b'\x81\x04no JSON', '(unknown)'),
        (b'\xff', '(unknown)'),
        (b'[7]', '(unknown)'),
        (b'{"exc_type": 7}', '(unknown)'),
        (None, '(unknown)'),
        (b'[' * 100_000, '(unknown)'),
        (b'{"exc_type": "Late", "exc_message": "%s", "exc_module": "m"}' % (b'x' * 100_000), 'Late'),
        (b'{"exc_type": "KeyError", "exc_message": null, "exc_module": null}', 'KeyError'),
        (b'{"exc_type": "KeyError", "exc_message": [{"a": 1}, null]}', 'KeyError'),
    ],
)
def test_results_that_are_no_errors_of_celery(tasks: TaskDatabase, result: bytes | None, error: str) -> None:
    minutes = (datetime.now(UTC) - datetime(2030, 1, 1, 12, tzinfo=UTC)) / timedelta(minutes=1)
    store(tasks, 'a', 'FAILURE', minutes, result=result)
    found = run(app_of(MemoryBroker()), 'failures', '--show-arguments', TOOLBOX_DATABASE=tasks.url)
    assert found.output.split('\t')[5:7] == ['(not stored)', error]


def test_a_role_that_may_not_read(database: Database) -> None:
    TaskDatabase(url_of(database))
    url = url_of(database, database.role, database.password)

    for command in ('failures', 'stats'):
        refused = run(app_of(MemoryBroker()), command, TOOLBOX_DATABASE=url)
        assert refused.exit_code == 1
        assert 'The database refuses to show tasks: permission denied for view' in refused.output
