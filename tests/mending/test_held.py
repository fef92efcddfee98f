"""Brokers tell what their queues hold: RabbitMQ with workers, dead letters, and queues that are not there."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from kombu import Exchange, Queue

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.mending import redis_queues
from cadasta.workertoolbox.mending.management import Management
from rig.monitor.databases import TaskDatabase
from rig.servers.broker import Broker
from rig.servers.postgres import Database
from rig.servers.process import Processes, wait_until
from rig.servers.rabbitmq import PASSWORD, USER, RabbitMQ
from rig.servers.sqs import SQSBroker
from rig.servers.started import started

from ..commands.running import run
from ..results.service import service
from .platform import Platform

AMQP = pytest.mark.parametrize('broker', ['amqp'], indirect=True)


@pytest.fixture(scope='module')
def rabbitmq() -> Iterator[RabbitMQ]:
    with started(RabbitMQ(is_managed=True)) as server:
        yield server


def management_of(server: RabbitMQ) -> str:
    return f'http://{USER}:{PASSWORD}@127.0.0.1:{server.management_port}'


def test_what_workers_hold_on_rabbitmq(
    rabbitmq: RabbitMQ, upgraded: Database, processes: Processes, tmp_path: Path
) -> None:
    with service(rabbitmq.broker(), upgraded, processes) as made:
        platform = Platform(made)
        gate, url = tmp_path / 'gate', management_of(rabbitmq)
        lost = made.send('plain')
        platform.track()
        platform.purge('once')
        runs = made.send('late', str(gate))
        worker = made.start('-Q', 'once', '-c', '1', '--prefetch-multiplier', '2')
        made.wait_until(lambda: made.count('begin', runs), 'the task to start')
        held = made.send('plain')
        made.wait_until(lambda: worker.log.count('] received') == 2, 'the other to be received')
        platform.track()
        platform.later()
        made.database.execute("UPDATE celery_taskmeta SET lease = now() + interval '1 minute'")
        doubt = "the 1 consumers of 'once' may hold messages, which RabbitMQ tells with --management only"
        assert {task_id: task['doubt'] for task_id, task in platform.suspects().items()} == {lost: doubt, held: doubt}
        counted = Management(url, platform.service.app.connection().virtual_host)
        wait_until(lambda: counted.messages('once') == 2, 'RabbitMQ to count what the worker holds')
        suspects = platform.suspects('--management', url)
        assert suspects[held]['doubt'] == 'its work queue has 2 messages, and one of them may be its own'
        # A worker that ends consumes nothing any more, and holds its messages until its tasks have ended.
        worker.ask_to_stop()
        wait_until(lambda: _consumers(platform) == 0, 'the worker to stop consuming')
        made.database.execute("UPDATE celery_taskmeta SET lease = now() + interval '1 minute'")
        doubt = 'a worker that is about to end may hold messages, because a task runs'
        assert platform.suspects()[held]['doubt'] == doubt
        gate.touch()
        worker.wait()
        assert platform.suspects()[held]['doubt'] == 'its work queue has 1 messages, and one of them may be its own'
        platform.purge('once')
        wait_until(lambda: counted.messages('once') == 0, 'RabbitMQ to count again')
        assert platform.lost() == platform.lost('--management', url) == {lost, held}


def _consumers(platform: Platform) -> int:
    with platform.broker.connect() as connection:
        count: int = connection.default_channel.queue_declare('once', passive=True).consumer_count
    return count


@AMQP
def test_a_management_plugin_that_does_not_answer(platform: Platform) -> None:
    platform.service.send('plain')
    platform.track()
    platform.later()
    result = platform.command('lost', '--management', 'http://ada:hush@127.0.0.1:1')
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: RabbitMQ's management plugin at http://127.0.0.1:1/api/queues/")
    assert 'hush' not in result.stderr
    assert 'write it as in' in platform.command('lost', '--management', 'hello').stderr


class NotCounted(BaseHTTPRequestHandler):
    """The plugin answers so for a queue that was declared just now."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"name": "once"}')


@AMQP
def test_a_management_plugin_that_has_not_counted_yet(platform: Platform) -> None:
    platform.service.send('plain')
    platform.track()
    platform.purge('once')
    platform.later()
    with HTTPServer(('127.0.0.1', 0), NotCounted) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        (suspect,) = platform.suspects('--management', f'http://127.0.0.1:{server.server_port}').values()
        server.shutdown()
    assert suspect['doubt'] == "RabbitMQ has not counted yet what consumers of 'once' hold"


@pytest.mark.parametrize('broker', ['filesystem'], indirect=True)
def test_what_a_busy_worker_has_of_files(platform: Platform) -> None:
    runs, waits = platform.service.send('plain'), platform.service.send('plain')
    platform.track()
    platform.purge('once')
    platform.later()
    platform.database.execute(
        """INSERT INTO celery_taskmeta (id, task_id, status, lease)
        VALUES (nextval('task_id_sequence'), %s, 'STARTED', now() + interval '1 hour')""",
        runs,
    )
    doubts = {task_id: task['doubt'] for task_id, task in platform.suspects().items()}
    assert doubts == {waits: 'a worker that is busy may hold messages, and their files are gone'}


@pytest.mark.parametrize('broker', ['redis'], indirect=True)
def test_a_queue_that_is_too_long_to_be_read(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = platform.service.send('plain')
    platform.track()
    platform.purge('once')
    for _ in range(2):
        platform.service.send('plain')
    platform.track()
    platform.later()
    assert platform.lost() == {lost}
    monkeypatch.setattr(redis_queues, 'MOST', 1)
    assert platform.suspects()[lost]['doubt'] == 'its work queue has 2 messages, and one of them may be its own'


@pytest.mark.parametrize('broker', ['redis'], indirect=True)
def test_what_another_broker_has(platform: Platform) -> None:
    result = platform.command('lost', '--management', 'http://localhost')
    assert result.stderr == 'Error: --management is for RabbitMQ, and the broker is redis\n'


@AMQP
def test_queues_that_are_not_there(platform: Platform) -> None:
    platform.service.send('plain')
    platform.track()
    platform.later()
    for key in ('elsewhere', None):
        platform.database.execute('UPDATE celery_task SET routing_key = %s', key)
        (suspect,) = platform.suspects().values()
        assert suspect['doubt'] == (
            f'this app has no queue for its routing key, {key!r}: run the command with an app that has'
            if key
            else 'its row has no routing key'
        )
    platform.database.execute("UPDATE celery_task SET routing_key = 'once'")
    with platform.broker.connect() as connection:
        connection.default_channel.queue_delete('once')
    (suspect,) = platform.suspects().values()
    assert suspect['doubt'] == "the broker has no queue 'once'"


def dead_letters(app: Celery, url: str) -> Any:
    result = run(app, 'lost', '--json', '--database', url)
    assert result.exit_code == int(bool(result.stdout)), result
    text = run(app, 'lost', '--database', url)
    assert text.stdout.count('dead letters of the queue') == len(result.stdout.splitlines())
    return [json.loads(line) for line in result.stdout.splitlines()]


@AMQP
def test_dead_letters_on_rabbitmq(broker: Broker, postgresql: TaskDatabase) -> None:
    exchange = Exchange('task_exchange', 'topic')
    given_up = {'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'graveyard'}
    queues = [
        Queue('export', exchange, routing_key='export', queue_arguments=given_up),
        # Nobody knows whether an exchange has them.
        Queue('msg', exchange, routing_key='msg', queue_arguments={'x-dead-letter-exchange': 'others'}),
    ]
    app = Celery('export', set_as_current=False)
    app.config_from_object(Config(task_queues=queues, **broker.settings))
    app.send_task('export.project', task_id='1')
    assert dead_letters(app, postgresql.url) == []
    with broker.connect() as connection:
        channel = connection.default_channel
        channel.queue_declare('graveyard', durable=True, auto_delete=False)
        channel.basic_reject(channel.basic_get('export').delivery_tag, requeue=False)
    wait_until(lambda: broker.count('graveyard') == 1, 'the message to be given up')
    assert dead_letters(app, postgresql.url) == [{'queue': 'export', 'dead_letter_queue': 'graveyard', 'messages': 1}]


@pytest.mark.parametrize('broker', ['sqs'], indirect=True)
def test_dead_letters_on_sqs(broker: SQSBroker, postgresql: TaskDatabase) -> None:
    app = Celery('export', set_as_current=False)
    app.config_from_object(Config(QUEUES=['export', 'msg'], **broker.settings))
    assert dead_letters(app, postgresql.url) == []
    app.send_task('export.project', task_id='1')
    client = broker.client
    graveyard = client.create_queue(QueueName=f'{broker.prefix}-graveyard')['QueueUrl']
    attributes = client.get_queue_attributes(QueueUrl=graveyard, AttributeNames=['QueueArn'])['Attributes']
    policy = {'deadLetterTargetArn': attributes['QueueArn'], 'maxReceiveCount': '1'}
    client.set_queue_attributes(QueueUrl=broker.queues()['export'], Attributes={'RedrivePolicy': json.dumps(policy)})
    assert dead_letters(app, postgresql.url) == []
    client.send_message(QueueUrl=graveyard, MessageBody='dead')
    assert dead_letters(app, postgresql.url) == [
        {'queue': 'export', 'dead_letter_queue': f'{broker.prefix}-graveyard', 'messages': 1}
    ]
