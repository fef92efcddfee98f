"""`celery -A project toolbox rejected`: what a monitor could not read, and what becomes of it after an upgrade."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from click.testing import Result
from kombu import Connection

from cadasta.workertoolbox.errors import NotUsable
from cadasta.workertoolbox.monitor import body
from cadasta.workertoolbox.monitor.message import from_envelope
from cadasta.workertoolbox.monitor.rejected import PlatformQueue, RejectedMessages
from cadasta.workertoolbox.monitor.store import Store
from rig.monitor.databases import TaskDatabase, url_of
from rig.servers.broker import PLATFORM_QUEUE, Broker
from rig.servers.memory import MemoryBroker
from rig.servers.postgres import Database
from rig.servers.raw_message import Raw

from ..monitor.messages import message
from ..monitor.test_streams import drain, make_app, publish
from .running import run, seen


class Shell:
    """Runs the command in this process."""

    def __init__(self, app: Celery, url: str) -> None:
        self.app, self.url = app, url

    def __call__(self, *arguments: str, **environment: str) -> Result:
        return run(self.app, 'rejected', *arguments, TOOLBOX_DATABASE=self.url, **environment)


def rejected_by_an_old_monitor(broker: Broker, app: Celery, tasks: TaskDatabase) -> None:
    """Messages for `export`, of which the monitor of this version can read only the short one."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(body, 'MAX_BODY', 200)
        app.send_task('export.project', ('x' * 300, 'secret'), task_id='long', priority=3, compression='gzip')
        app.send_task('export.project', ('x' * 250,), task_id='other', headers={'tenant': 'Zürich'})
        app.send_task('export.project', (), task_id='short')
        drain(broker, app, tasks)


def test_a_monitor_that_can_read_it_now(broker: Broker, postgresql: TaskDatabase) -> None:
    app = make_app(broker)
    rejected_by_an_old_monitor(broker, app, postgresql)
    shell = Shell(app, postgresql.url)
    digests = {row['task_id']: row['digest'] for row in postgresql.rejected()}
    assert digests.keys() == {'long', 'other'}
    assert shell(digests['long'], '--resend', '--yes').exit_code == 0
    assert [broker.count(queue) for queue in ('export', PLATFORM_QUEUE)] == [3, 1]
    drain(broker, app, postgresql)
    row = postgresql.tasks()['long']
    assert (row['args'], row['routing_key'], row['options']['priority']) == (['x' * 300, 'secret'], 'export', 3)
    assert shell('--resend', '--forget', '--yes').stderr == '2 resent and forgotten\n'
    assert not postgresql.rejected()
    drain(broker, app, postgresql)
    # Each message has three copies now: that of the worker, the first one, and the one that was published again.
    app.send_task('export.project', ('x' * 250,), task_id='again', headers={'tenant': 'Zürich'})
    drain(broker, app, postgresql)
    rows = postgresql.tasks()
    assert rows.keys() == {'long', 'other', 'short', 'again'}
    known = ('args', 'kwargs', 'routing_key', 'eta', 'retries', 'timelimit', 'origin', 'body', 'options')
    first, second = ([rows[task_id][name] for name in known[:-1]] for task_id in ('other', 'again'))
    assert first == second
    assert {k: v for k, v in rows['other']['options'].items() if k != 'MessageGroupId'} == {
        k: v for k, v in rows['again']['options'].items() if k != 'MessageGroupId'
    }
    assert broker.count('export') == 4


def test_what_is_sent_again_goes_to_the_platform_alone(tasks: TaskDatabase) -> None:
    """Its worker had its own copy. RabbitMQ would drop what expires before the monitor has read it."""
    broker = MemoryBroker()
    app = make_app(broker)
    rejected_by_an_old_monitor(broker, app, tasks)
    with Store(tasks.url) as store:
        store.write(
            [
                message('expiring', properties={'expiration': '1', 'content_type': 'application/x-unknown'}),
                from_envelope(1, b'\x00\xff'),
            ]
        )
    with RejectedMessages(tasks.url) as messages:
        assert {found.task_id for found in list(messages.find())[2:]} == {'long', 'other'}
    refused = Shell(app, tasks.url)('--resend', '--forget', '--yes')
    assert refused.exit_code == 1
    assert 'cannot be published: only its bytes are kept' in refused.stderr
    assert refused.stderr.endswith('3 resent and forgotten\n')
    assert len(tasks.rejected()) == 1
    assert broker.count('export') == 3
    with broker.connect() as connection:
        sent = {}
        while found := connection.default_channel.basic_get(PLATFORM_QUEUE, no_ack=True):
            sent[found.headers['id']] = found
    assert sent.keys() == {'long', 'other', 'expiring'}
    assert {found.delivery_info['routing_key'] for found in sent.values()} == {'export'}
    assert (sent['long'].properties['priority'], sent['other'].headers['tenant']) == (3, 'Zürich')
    assert 'expiration' not in sent['expiring'].properties


def test_a_broker_that_is_away() -> None:
    app = make_app(Broker('redis', 'redis://:hush@127.0.0.1:1/0', {}))
    with pytest.raises(NotUsable, match='The broker cannot be reached: ') as raised, PlatformQueue(app):
        pass
    assert 'hush' not in str(raised.value)


@pytest.mark.parametrize('broker', ['redis'], indirect=True)
def test_a_monitor_that_still_cannot_read_it(
    broker: Broker, postgresql: TaskDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(broker)
    rejected_by_an_old_monitor(broker, app, postgresql)
    monkeypatch.setattr(body, 'MAX_BODY', 200)
    before = [row['digest'] for row in postgresql.rejected()]
    assert Shell(app, postgresql.url)('--resend', '--forget', '--yes').exit_code == 0
    assert not postgresql.rejected()
    drain(broker, app, postgresql)
    assert sorted(row['digest'] for row in postgresql.rejected()) == sorted(before)


@pytest.mark.parametrize('broker', ['redis', 'amqp'], indirect=True)
def test_what_cannot_be_published(broker: Broker, postgresql: TaskDatabase) -> None:
    app = make_app(broker)
    app.send_task('export.project', task_id='fine')
    if broker.name == 'redis':
        broker.put(PLATFORM_QUEUE, ['hello'])
    else:
        with Connection(broker.url) as connection:
            # The content encoding is no text.
            connection.default_channel.basic_publish(Raw(b'hello', b'\x04\x00\x02\xff\xfe'), '', PLATFORM_QUEUE)
    drain(broker, app, postgresql)
    shell = Shell(app, postgresql.url)
    refused = shell('--resend', '--forget', '--yes')
    assert refused.exit_code == 1
    assert 'cannot be published: only its bytes are kept' in refused.stderr
    assert refused.stderr.endswith('0 resent and forgotten\n')
    assert len(postgresql.rejected()) == 1
    assert shell('--forget', '--yes').exit_code == 0
    assert not postgresql.rejected()


@pytest.mark.parametrize('broker', ['redis'], indirect=True)
def test_without_arguments(broker: Broker, postgresql: TaskDatabase, caplog: pytest.LogCaptureFixture) -> None:
    """A body, and an envelope that cannot be read, have the arguments."""
    app = make_app(broker)
    named = {'task': 'export.project', 'id': 'i' * 200}
    with broker.connect() as connection:
        publish(connection, app, b'{"task": "export.project", "id": 7, "args": ["secret"]}')
        publish(connection, app, b'[["secret"], {}, {}]', 'application/data', named)
    broker.put(PLATFORM_QUEUE, ['secret', '["secret"]', '{"properties": {}, "body": ["secret"], "headers": 7}'])
    drain(broker, app, postgresql, arguments=False)
    rows = postgresql.rejected()
    assert len(rows) == 5
    assert {row['task_id'] for row in rows} == {None, 'i' * 200}
    shell = Shell(app, postgresql.url)
    seen = [str([(row, bytes(row['message'])) for row in rows]), caplog.text, shell().output]
    seen += [shell(row['digest']).output for row in rows]
    assert not [text for text in seen if 'secret' in text or base64.b64encode(b'secret').decode()[:7] in text]
    refused = shell('--resend', '--forget', '--yes')
    assert refused.exit_code == 1
    assert refused.stderr.count('cannot be published: its body, which has the arguments, is not kept') == 5
    assert len(postgresql.rejected()) == 5


@pytest.fixture
def shell(tasks: TaskDatabase) -> Shell:
    """Two messages were rejected."""
    broker = MemoryBroker()
    app = make_app(broker)
    rejected_by_an_old_monitor(broker, app, tasks)
    return Shell(app, tasks.url)


def documents(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_list(shell: Shell) -> None:
    lines = [line.split('\t') for line in shell().stdout.splitlines()]
    assert sorted(line[2:5] for line in lines) == [
        ['export', task_id, 'export.project'] for task_id in ('long', 'other')
    ]
    assert all('at most 200 are read' in line[5] for line in lines)
    listed = documents(shell('--json'))
    assert [document['digest'] for document in listed] == [line[1] for line in lines]
    assert 'message' not in listed[0]
    assert seen(shell(FORCE_COLOR='1', TERM='xterm', COLUMNS='100').output)[0] == 'LAST DIGEST QUEUE REASON'
    assert not shell().stderr


def test_whole(shell: Shell) -> None:
    (digest,) = (document['digest'] for document in documents(shell('--json')) if document['task_id'] == 'other')
    fields = dict(line.split('\t', 1) for line in shell(digest[:16]).stdout.splitlines())
    assert (fields['digest'], fields['task_id']) == (digest, 'other')
    assert json.loads(fields['message'])['headers']['tenant'] == 'Zürich'
    (document,) = documents(shell(digest, '--json'))
    assert document['message'] == fields['message']


def test_nothing_happens_without_yes(shell: Shell) -> None:
    listed = documents(shell('--json'))
    would = shell('--resend', '--forget')
    assert sorted(line.partition('\t')[0] for line in would.stdout.splitlines()) == sorted(
        document['digest'] for document in listed
    )
    assert would.stderr == '2 would be resent and forgotten: repeat the command with --yes\n'
    assert documents(shell('--json')) == listed
    assert shell(listed[0]['digest'], '--forget', '--yes').stderr == '1 forgotten\n'
    assert documents(shell('--json')) == listed[1:]


def test_digests_that_name_no_message(tasks: TaskDatabase) -> None:
    shell = Shell(make_app(MemoryBroker()), tasks.url)
    assert "No rejected message has a digest that begins with 'ab'" in shell('ab').stderr
    for digest in ('ab1', 'ab2'):
        tasks.execute(
            'INSERT INTO celery_task_rejected VALUES (:digest, :none, NULL, NULL, NULL, :none, :at, :at)',
            digest=digest,
            none='',
            at='2030-01-01 12:00:00',
        )
    assert "The digests of 2 messages begin with 'ab': give more of it" in shell('ab').stderr
    assert 'the envelope is not JSON' in shell('ab1', '--resend', '--yes').stderr


def test_a_role_and_a_broker_that_refuse(database: Database, tmp_path: Path) -> None:
    TaskDatabase(url_of(database))
    app = make_app(MemoryBroker())
    refused = Shell(app, url_of(database, database.role, database.password))()
    assert 'Error: The database refuses: permission denied for table celery_task_rejected' in refused.output
    app.conf.broker_url = 'amqp://ada:hush@127.0.0.1:1//'
    away = Shell(app, url_of(database))('--resend', '--yes')
    assert away.exit_code == 1
    assert 'Error: The broker cannot be reached' in away.output
    assert 'hush' not in away.output
