"""`celery -A project toolbox check`: what it finds wrong, and what it says to change."""

from __future__ import annotations

import json
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from amqp.exceptions import NotFound, PreconditionFailed
from celery import Celery
from kombu import Exchange, Queue
from kombu.transport.memory import Channel as MemoryChannel

from cadasta.workertoolbox.check import Finding, check, platform_queue
from cadasta.workertoolbox.check import broker as broker_module
from cadasta.workertoolbox.check import databases as database_module
from cadasta.workertoolbox.check.binding_table import BindingTable
from cadasta.workertoolbox.check.rabbitmq import RabbitMQ
from cadasta.workertoolbox.check.trials import trials
from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.database.tables import result_tables
from cadasta.workertoolbox.monitor import Monitor, upgrade
from cadasta.workertoolbox.monitor.store import Store
from cadasta.workertoolbox.setup import setup_app
from rig.monitor.databases import TaskDatabase, url_of
from rig.monitor.programs import Toolbox
from rig.servers.broker import PLATFORM_QUEUE, Broker
from rig.servers.environment import DUMMY_AWS
from rig.servers.postgres import Database
from rig.servers.process import Processes, wait_until
from rig.servers.sqs import SQSBroker

from ..conformance.apps import add, make_app
from ..monitor.messages import message
from .running import on_terminal, run, seen

QUEUES = 'exchanges and queues are there, as they must be'
SHORT = 'messages do not pile up in the platform queue'
CLAIMS = 'its table has the columns for claims'
PICKLES = 'its table refuses pickles'
MAY = 'the role may store results'
MAY_NOT = 'the role may do nothing else'
SKIPPED = '\N{EN DASH}'


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in DUMMY_AWS.items():
        monkeypatch.setenv(name, value)


def app_on(broker: Broker | None = None, **settings: Any) -> Celery:
    where = broker.settings if broker else {'broker_url': 'memory://'}
    return make_app(**{**where, **settings})


def found(app: Celery, **options: Any) -> dict[str, Finding]:
    """The findings by what was checked, apart from those of the conformance suite."""
    return {finding.check: finding for finding in check(app, **options) if finding.concern != 'conformance'}


def states(app: Celery, concern: str, **options: Any) -> list[str]:
    return [finding.state for finding in check(app, **options) if finding.concern == concern]


def changes(finding: Finding) -> list[str]:
    return [problem.change for problem in finding.outcome.problems]


class TestConformance:
    def test_a_sound_app(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(socket.socket, 'connect', lambda *args: pytest.fail('a connection was opened'))
        result = run(app_on(), 'check', '--offline')
        assert result.exit_code == 0
        lines = result.output.splitlines()
        assert lines[1] == '✓ conformance  rule 1: the platform gets a copy of every message'
        assert lines[8] == (
            f'{SKIPPED} conformance  rule 8: queues on sqs have a prefix (The broker of this app is not Amazon SQS.)'
        )
        assert lines[11:] == ['10 passed, 0 failed, 1 skipped']

    def test_each_failure_of_a_rule_is_under_it(self) -> None:
        app = app_on()
        for name in ('import.project', 'import.parcels'):
            add(app, name)
        result = run(app, 'check', '--offline')
        assert result.exit_code == 1
        start = result.output.index('✗ conformance  rule 4: each task is tracked\n')
        lines = [line.strip() for line in result.output[start:].splitlines()[1:7]]
        assert [line.split()[0] for line in lines] == ['Where:', 'Seen:', 'Change:'] * 2
        assert {lines[0], lines[3]} == {"Where:  task 'import.parcels'", "Where:  task 'import.project'"}
        assert lines[1].startswith('Seen:   QueueNotFound: Task ')
        assert lines[2].startswith('Change: Add the queue to QUEUES of Config')
        assert result.output.endswith('9 passed, 1 failed, 1 skipped\n')

    def test_a_producer_makes_no_worker(self) -> None:
        app = app_on()
        app.amqp.queues.select(['platform.fifo'])
        result = run(app, 'check', '--offline')
        assert result.exit_code == 1
        assert "    Seen:   SystemExit: This worker was told to consume 'platform.fifo'" in result.output
        result = run(app, 'check', '--offline', '--producer')
        assert result.exit_code == 0
        assert f'{SKIPPED} conformance  rule 9: a worker leaves the platform queue alone (No worker' in result.output

    def test_a_task_module_that_cannot_be_imported(self) -> None:
        result = run(app_on(include=['no_such_module']), 'check', '--offline')
        assert result.exit_code == 1
        assert "TaskModuleError: Task module 'no_such_module' of app 'export' cannot be imported" in result.output
        assert result.output.endswith('0 passed, 1 failed, 10 skipped\n')

    def test_as_a_document(self) -> None:
        app = app_on()
        add(app, 'import.project')
        result = run(app, 'check', '--offline', '--json')
        assert result.exit_code == 1
        document = json.loads(result.output)
        assert document['ok'] is False
        (failed,) = (finding for finding in document['findings'] if finding['state'] == 'failed')
        assert failed['check'] == 'rule 4: each task is tracked'
        assert failed['problems'][0]['where'] == "task 'import.project'"
        assert json.loads(run(app_on(), 'check', '--offline', '--json').output)['ok'] is True

    def test_without_utf8_and_on_a_narrow_terminal(self, tmp_path: Path, processes: Processes) -> None:
        toolbox = Toolbox(tmp_path, processes, Broker('memory', 'memory://', {}), '')
        output = on_terminal(
            [sys.executable, '-m', 'celery', '-A', 'project', 'toolbox', 'check', '--offline'],
            {**toolbox.environment, 'PYTHONIOENCODING': 'ascii', 'TERM': 'xterm', 'COLUMNS': '60'},
        )
        assert output.isascii()
        assert 'ok conformance rule 9: a worker leaves the platform queue' in seen(output)
        assert 'alone' in seen(output)
        assert seen(output)[-1] == '10 passed, 0 failed, 1 skipped'


class TestBroker:
    @pytest.fixture(autouse=True)
    def hasty(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(platform_queue, 'WATCHED', 1.0)

    def test_nothing_is_there_and_nothing_is_made(self, broker: Broker) -> None:
        app = app_on(broker, QUEUES=['export', 'msg', 'fast.fifo'])
        for _ in range(2):
            findings = found(app)
            assert findings['it can be reached'].state == 'passed'
            if broker.name == 'memory':
                assert findings[QUEUES].outcome.skipped == "transport 'memory' does not tell other processes"
                assert findings[SHORT].state == 'skipped'
                assert not MemoryChannel.queues
                continue
            names = ', '.join(problem.where for problem in findings[QUEUES].outcome.problems)
            for name in ('celery', 'export', 'msg', 'fast.fifo', PLATFORM_QUEUE):
                assert name in names
            assert all('Start a worker' in change for change in changes(findings[QUEUES]))
        if isinstance(broker, SQSBroker):
            assert broker.queues() == {}
            # The check says once what all of them lack.
            assert f'    Where:  {names}\n    Seen:   there is no queue of this name in' in run(app, 'check').output

    @pytest.mark.long
    def test_all_is_there(self, broker: Broker, tmp_path: Path) -> None:
        app = app_on(broker, QUEUES=['export', 'msg', 'fast.fifo'])
        setup_app(app, throw=True)
        for _ in range(3):
            app.send_task('export.project')
        assert broker.count(PLATFORM_QUEUE) == 3
        findings = found(app)
        assert findings[QUEUES].state == ('skipped' if broker.name == 'memory' else 'passed')
        if broker.name != 'memory':
            assert findings[QUEUES].outcome.note == 'celery, export, fast.fifo, msg, platform.fifo'
            (problem,) = findings[SHORT].outcome.problems
            assert 'waiting messages: 3' in problem.seen
            assert problem.change == 'Start the task monitor: celery -A PROJECT toolbox monitor'
        # No message was taken.
        assert broker.count(PLATFORM_QUEUE) == broker.count('export') == 3
        url = f'sqlite:///{tmp_path}/tasks.db'
        upgrade(url)
        Monitor(app, url, once=True).run()
        assert found(app)[SHORT].state == {'memory': 'skipped', 'amqp': 'failed'}.get(broker.name, 'passed')

    @pytest.mark.parametrize('broker', ['amqp'], indirect=True)
    def test_consumers_of_rabbitmq(self, broker: Broker) -> None:
        app = app_on(broker)
        setup_app(app, throw=True)
        (problem,) = found(app)[SHORT].outcome.problems
        assert problem.seen == 'nobody consumes it; waiting messages: 0, consumers: 0'
        with broker.connect() as connection:
            # It takes one message and no other.
            channel = connection.channel()
            channel.basic_qos(0, 1, False)
            channel.basic_consume(PLATFORM_QUEUE, callback=lambda message: None)
            assert found(app)[SHORT].outcome.note == 'waiting messages: 0, consumers: 1'
            for _ in range(3):
                app.send_task('export.project')
            (problem,) = found(app)[SHORT].outcome.problems
        assert problem.seen == 'waiting messages: 2, consumers: 1; 1.0 s later, waiting messages: 2, consumers: 1'
        assert problem.change.startswith('More is sent than is stored')

    @pytest.mark.parametrize('broker', ['redis'], indirect=True)
    def test_a_queue_that_becomes_shorter(self, broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(platform_queue, 'WATCHED', 60.0)
        app = app_on(broker)
        for _ in range(3):
            app.send_task('export.project')
        with broker.connect() as connection:
            channel = connection.default_channel

            def look_and_take_one() -> platform_queue.Depth:
                depth = BindingTable(channel).depth(PLATFORM_QUEUE)
                channel.basic_get(PLATFORM_QUEUE, no_ack=True)
                return depth

            assert platform_queue.watch(look_and_take_one).note == 'waiting messages: 2'

    @pytest.mark.parametrize('broker', ['amqp'], indirect=True)
    def test_an_exchange_of_another_type(self, broker: Broker) -> None:
        with broker.connect() as connection:
            Exchange('task_exchange', 'direct')(connection.default_channel).declare()
        problem = found(app_on(broker))[QUEUES].outcome.problems[0]
        assert problem.where == "exchange 'task_exchange'"
        assert "inequivalent arg 'type'" in problem.seen
        assert 'It has to be a topic exchange' in problem.change

    @pytest.mark.parametrize('broker', ['amqp'], indirect=True)
    @pytest.mark.parametrize(
        ('there', 'settings', 'argument', 'queues'),
        [
            ({}, {'task_queue_max_priority': 9}, 'x-max-priority', ['celery', 'export', 'msg', 'platform.fifo']),
            ({}, {'task_default_queue_type': 'quorum'}, 'x-queue-type', ['celery']),
            ({'task_default_queue_type': 'quorum'}, {}, 'x-queue-type', ['celery']),
            (
                {},
                {'task_queues': [Queue('celery'), Queue('export', message_ttl=60), Queue('msg')]},
                'x-message-ttl',
                ['export'],
            ),
            ({}, {'task_queues': [Queue('celery'), Queue('export', durable=False)]}, 'durable', ['export']),
        ],
    )
    def test_a_queue_that_was_made_with_other_arguments(
        self,
        broker: Broker,
        there: dict[str, Any],
        settings: dict[str, Any],
        argument: str,
        queues: list[str],
    ) -> None:
        setup_app(app_on(broker, QUEUES=['export', 'msg'], **there), throw=True)
        app = app_on(broker, **{'QUEUES': ['export', 'msg'], **settings})
        problems = found(app)[QUEUES].outcome.problems
        assert [problem.where for problem in problems] == [f'queue {queue!r}' for queue in queues]
        for problem in problems:
            assert f"inequivalent arg '{argument}'" in problem.seen
            assert problem.change.startswith('RabbitMQ refuses delay() and workers as well.')
        with pytest.raises(PreconditionFailed, match='inequivalent arg'):
            app.send_task(f'{queues[0]}.project')
        # Nothing was changed.
        assert found(app_on(broker, QUEUES=['export', 'msg'], **there))[QUEUES].state == 'passed'

    @pytest.mark.parametrize('broker', ['amqp'], indirect=True)
    @pytest.mark.parametrize(
        ('limit', 'version', 'expected'),
        [(5, '3.10.8', 5), (None, '3.10.8', None), (None, '4.1.0', 20), (None, '', None), (-1, '4.1.0', None)],
    )
    def test_a_platform_queue_that_drops_what_is_delivered_too_often(
        self,
        broker: Broker,
        limit: int | None,
        version: str,
        expected: int | None,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        arguments = {'x-queue-type': 'quorum', **({} if limit is None or limit < 0 else {'x-delivery-limit': limit})}
        exchange = Exchange('task_exchange', 'topic')
        platform = Queue(PLATFORM_QUEUE, exchange, routing_key='#', queue_arguments=arguments)
        with broker.connect() as connection:
            platform(connection.default_channel).declare()
            connection.connection.server_properties['version'] = version
            kind = RabbitMQ(connection, PLATFORM_QUEUE)
            if limit == -1:
                # RabbitMQ 3 refuses it.
                platform.queue_arguments['x-delivery-limit'] = -1
                monkeypatch.setattr(kind, '_refusal', lambda ask: '')
            seen = [problem.seen for problem in kind.problems([platform])]
        assert [f'delivered {expected} times' in text for text in seen] == ([True] if expected else [])

    @pytest.mark.parametrize('broker', ['amqp'], indirect=True)
    def test_a_queue_that_is_not_there_is_not_made(self, broker: Broker) -> None:
        setup_app(app_on(broker, QUEUES=['msg']), throw=True)
        app = app_on(broker, QUEUES=['export', 'msg'], task_queue_max_priority=9)
        problems = {problem.where: problem.seen for problem in found(app)[QUEUES].outcome.problems}
        assert 'no queue' in problems["queue 'export'"]
        assert 'inequivalent' in problems["queue 'msg'"]
        with broker.connect() as connection, pytest.raises(NotFound):
            connection.default_channel.queue_declare('export', passive=True)

    @pytest.mark.parametrize('broker', ['amqp'], indirect=True)
    def test_queues_of_an_app_without_a_config(self, broker: Broker) -> None:
        app = Celery('plain', set_as_current=False)
        bindings = [Exchange('one', 'topic').binding('a'), Exchange('two', 'topic').binding('b')]
        app.config_from_object({'broker_url': broker.url, 'task_queues': [Queue('celery', bindings)]})
        findings = found(app)
        where = [problem.where for problem in findings[QUEUES].outcome.problems]
        assert sorted(where) == ["exchange 'one'", "exchange 'two'", "queue 'celery'"]
        assert findings[SHORT].outcome.skipped == 'there is no platform queue'

    @pytest.mark.parametrize('broker', ['sqs'], indirect=True)
    def test_attributes_on_sqs(self, broker: SQSBroker) -> None:
        app = app_on(broker, QUEUES=['export', 'fast.fifo', 'msg'])
        for name, attributes in {
            'celery': {},
            'export': {'VisibilityTimeout': '30'},
            'msg': {'MessageRetentionPeriod': '3600'},
            'fast.fifo': {},
            # The monitor says itself how long its messages are hidden.
            PLATFORM_QUEUE: {'FifoQueue': 'true', 'VisibilityTimeout': '30'},
        }.items():
            broker.client.create_queue(
                QueueName=f'{broker.prefix}-{name}', Attributes={'VisibilityTimeout': '1800', **attributes}
            )
        export, fast, msg = found(app)[QUEUES].outcome.problems
        names = [f"queue '{broker.prefix}-{name}'" for name in ('export', 'fast.fifo', 'msg')]
        assert [export.where, fast.where, msg.where] == names
        assert fast.seen == 'it is a standard queue'
        assert 'VisibilityTimeout is 30.0 s,' in export.seen
        assert export.change.endswith('--attributes VisibilityTimeout=300')
        assert 'MessageRetentionPeriod is 1 h,' in msg.seen

    @pytest.mark.parametrize('broker', ['sqs'], indirect=True)
    def test_messages_of_sqs_that_somebody_has_received(self, broker: SQSBroker) -> None:
        app = app_on(broker)
        setup_app(app, throw=True)
        for _ in range(2):
            app.send_task('export.project')
        assert found(app)[SHORT].state == 'failed'
        broker.client.receive_message(QueueUrl=broker.queues()[PLATFORM_QUEUE], MaxNumberOfMessages=1)
        assert found(app)[SHORT].outcome.note == 'waiting messages: 1'

    @pytest.mark.parametrize('broker', ['sqs'], indirect=True)
    def test_predefined_queues(self, broker: SQSBroker) -> None:
        app = app_on(broker)
        setup_app(app, throw=True)
        urls = {f'{broker.prefix}-{name}': {'url': url} for name, url in broker.queues().items() if name != 'msg'}
        urls[f'{broker.prefix}-export'] = {'url': urls[f'{broker.prefix}-export']['url'] + '-gone'}
        options = {**broker.options, 'predefined_queues': urls}
        export, msg = found(app_on(broker, broker_transport_options=options))[QUEUES].outcome.problems
        assert 'NonExistentQueue' in export.seen
        assert export.change.startswith('Allow sqs:GetQueueAttributes')
        assert msg.change == "Give its URL in 'predefined_queues' of broker_transport_options."
        del urls[f'{broker.prefix}-{PLATFORM_QUEUE}']
        assert found(app_on(broker, broker_transport_options=options))[SHORT].outcome.skipped == (
            'there is no platform queue'
        )

    @pytest.mark.parametrize('url', ['amqp://ada:hush@{}//', 'redis://:hush@{}/0', 'sqs://key:hush@{}'])
    @pytest.mark.parametrize('answers', [False, True])
    def test_out_of_reach(self, url: str, answers: bool, silence: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(broker_module, 'TIMEOUT', 1)
        app = app_on(
            broker_url=url.format(silence if answers else '127.0.0.1:1'),
            result_backend='rpc://',
            broker_transport_options={'is_secure': False},
        )
        result = run(app, 'check')
        assert result.exit_code == 1
        assert 'hush' not in result.output
        assert '✗ broker       it can be reached\n' in result.output
        assert 'start the broker, or look at broker_url' in result.output
        assert f"{SKIPPED} broker       {SHORT} (because of the failure of 'it can be reached')" in result.output
        assert f'{SKIPPED} results      the database can be reached (the results of this app' in result.output


@pytest.fixture
def silence() -> Iterator[str]:
    """The address of a server that accepts connections and says nothing."""
    with socket.create_server(('127.0.0.1', 0)) as listener:
        yield f'127.0.0.1:{listener.getsockname()[1]}'


class TestResults:
    @pytest.fixture
    def role(self, database: Database) -> Database:
        """A database whose worker role was made by `toolbox tables --worker-role`."""
        database.execute(f'REVOKE ALL ON celery_taskmeta, task_id_sequence FROM {database.role}')
        upgrade(url_of(database), worker_role=database.role)
        return database

    @pytest.fixture
    def app(self, role: Database) -> Celery:
        return app_on(result_backend=f'db+{url_of(role, role.role, role.password)}')

    def test_a_role_that_was_made_by_the_toolbox(self, app: Celery, role: Database) -> None:
        assert states(app, 'results') == ['passed'] * 7
        assert found(app)[MAY].outcome.note == role.role
        assert role.password not in found(app)['the database can be reached'].outcome.note.replace(role.role, '')

    @pytest.mark.parametrize(
        ('right', 'name'),
        [
            ('SELECT', 'TABLE celery_taskmeta'),
            ('INSERT', 'TABLE celery_taskmeta'),
            ('UPDATE (status, lease)', 'TABLE celery_taskmeta'),
            ('USAGE', 'SEQUENCE task_id_sequence'),
        ],
    )
    def test_a_right_is_missing(self, app: Celery, role: Database, right: str, name: str) -> None:
        role.execute(f'REVOKE {right} ON {name} FROM {role.role}')
        finding = found(app)[MAY]
        assert changes(finding) == [f'GRANT {right} ON {name} TO {role.role}']
        assert finding.outcome.problems[0].seen == f'it may not {right} on {name.split()[1]}'
        role.execute(*changes(finding))
        assert states(app, 'results') == ['passed'] * 7

    @pytest.mark.parametrize(
        ('statements', 'expected'),
        [
            (
                ['GRANT DELETE, TRUNCATE ON celery_taskmeta TO {role}'],
                ['REVOKE DELETE, TRUNCATE ON TABLE celery_taskmeta FROM {role}'],
            ),
            (['GRANT SELECT ON celery_task TO PUBLIC'], ['REVOKE SELECT ON TABLE celery_task FROM PUBLIC']),
            (
                ['GRANT SELECT ON celery_task_status TO {role}'],
                ['REVOKE SELECT ON TABLE celery_task_status FROM {role}'],
            ),
            (
                ['GRANT UPDATE ON SEQUENCE task_id_sequence TO {role}'],
                ['REVOKE UPDATE ON SEQUENCE task_id_sequence FROM {role}'],
            ),
            (
                ['GRANT UPDATE (task_id, id) ON celery_taskmeta TO {role}'],
                ['REVOKE UPDATE (id), UPDATE (task_id) ON TABLE celery_taskmeta FROM {role}'],
            ),
            (
                ['GRANT SELECT ON celery_toolbox TO {role}'],
                ['REVOKE SELECT ON TABLE celery_toolbox FROM {role}'],
            ),
            (
                ['CREATE POLICY all_rows ON celery_taskmeta FOR UPDATE USING (true)'],
                ['DROP POLICY all_rows ON celery_taskmeta'],
            ),
            (['GRANT CREATE ON SCHEMA public TO {role}'], ['REVOKE CREATE ON SCHEMA public FROM {role}']),
            (['GRANT CREATE ON DATABASE {role} TO {role}'], ['REVOKE CREATE ON DATABASE {role} FROM {role}']),
            (
                ['CREATE SCHEMA "Other"', 'CREATE TABLE "Other"."a:b" ()', 'GRANT INSERT ON "Other"."a:b" TO {role}'],
                ['REVOKE INSERT ON TABLE "Other"."a:b" FROM {role}'],
            ),
            (
                ['ALTER ROLE {role} CREATEDB CREATEROLE'],
                ['ALTER ROLE {role} NOCREATEROLE', 'ALTER ROLE {role} NOCREATEDB'],
            ),
            (['GRANT pg_read_all_data TO {role}'], ['REVOKE pg_read_all_data FROM {role}']),
            (
                ['CREATE ROLE {role}_super SUPERUSER', 'GRANT {role}_super TO {role}'],
                ['REVOKE {role}_super FROM {role}'],
            ),
            (
                [
                    'ALTER ROLE {role} NOINHERIT',
                    'CREATE ROLE {role}_later',
                    'GRANT {role}_later TO {role}',
                    'GRANT INSERT ON celery_task TO {role}_later',
                ],
                ['REVOKE INSERT ON TABLE celery_task FROM {role}_later'],
            ),
            (
                ['CREATE ROLE {role}_all', 'GRANT {role}_all TO {role}', 'GRANT INSERT ON celery_task TO {role}_all'],
                ['REVOKE INSERT ON TABLE celery_task FROM {role}_all'],
            ),
            (['ALTER TABLE celery_task OWNER TO {role}'], ['ALTER TABLE celery_task OWNER TO another role']),
        ],
    )
    def test_a_right_is_too_much(
        self,
        app: Celery,
        role: Database,
        statements: list[str],
        expected: list[str],
    ) -> None:
        for statement in statements:
            role.execute(statement.format(role=role.role))
        finding = found(app)[MAY_NOT]
        assert changes(finding) == [change.format(role=role.role) for change in expected]
        assert {problem.where for problem in finding.outcome.problems} == {f'role {role.role}'}
        assert found(app, any_role=True)[MAY_NOT].outcome.skipped == '--any-role'
        assert found(app, is_worker=False)[MAY_NOT].outcome.skipped == 'the app only sends tasks'
        for change in changes(finding):
            role.execute(change.replace('another role', 'postgres'))
        assert states(app, 'results') == ['passed'] * 7

    @pytest.mark.parametrize(
        ('statement', 'seen'),
        [
            (
                'GRANT UPDATE ON celery_taskmeta TO {role}',
                ['it may UPDATE on table celery_taskmeta, so it may lock it, and change the rows of others'],
            ),
            (
                'ALTER TABLE celery_taskmeta DISABLE ROW LEVEL SECURITY',
                ['it may store results of other roles', 'it may change results of other roles'],
            ),
            (
                'ALTER TABLE celery_taskmeta DISABLE ROW LEVEL SECURITY, DROP role CASCADE',
                ['it may store results of other roles', 'it may change results of other roles'],
            ),
        ],
    )
    def test_it_may_do_what_it_might_in_version_1_0(
        self, app: Celery, role: Database, statement: str, seen: list[str]
    ) -> None:
        role.execute(statement.format(role=role.role))
        problems = found(app)[MAY_NOT].outcome.problems
        assert [problem.seen for problem in problems] == seen
        change = f'celery -A PROJECT toolbox tables --worker-role {role.role}'
        assert {problem.change for problem in problems} == {change}
        upgrade(url_of(role), worker_role=role.role)
        assert states(app, 'results') == ['passed'] * 7
        assert role.execute('SELECT count(*) FROM celery_taskmeta') == [(0,)]

    def test_what_it_might_lock_if_nobody_else_had(self, app: Celery, role: Database) -> None:
        role.execute('DROP TABLE celery_toolbox')
        assert found(app)[MAY_NOT].state == 'passed'
        role.execute(f'CREATE TABLE celery_toolbox (); GRANT SELECT ON celery_toolbox TO {role.role}')
        with role.server.connect(role.name) as cursor, ExitStack() as stack:
            cursor.execute('BEGIN; LOCK TABLE celery_toolbox')
            trying = database_module._connect(app.conf.result_backend, stack, is_read_only=False)
            (problem,) = trials(trying, result_tables({}, {})[0], role.role)
        assert problem.seen == 'it may keep `toolbox tables` from running, by a lock on celery_toolbox'

    def test_a_database_where_nothing_can_be_tried(self, app: Celery, role: Database) -> None:
        with ExitStack() as stack:
            connection = database_module._connect(app.conf.result_backend, stack)
            with pytest.raises(sa.exc.InternalError, match='read-only transaction'):
                next(trials(connection, result_tables({}, {})[0], role.role))

    def test_the_role_that_all_services_share(self, role: Database) -> None:
        upgrade(url_of(role), worker_role='cadasta')
        try:
            role.execute(f"GRANT CONNECT ON DATABASE {role.name} TO cadasta; ALTER ROLE cadasta PASSWORD 'cadasta'")
            finding = found(app_on(result_backend=f'db+{url_of(role, "cadasta", "cadasta")}'))[MAY_NOT]
        finally:
            role.execute('DROP OWNED BY cadasta; DROP ROLE cadasta')
        assert finding.state == 'noted'
        assert finding.outcome.note.startswith('cadasta. All services that do not set RESULT_DB_USER share this role')

    def test_numbers_of_32_bits(self, app: Celery, role: Database) -> None:
        role.execute('ALTER TABLE celery_taskmeta ALTER id TYPE integer')
        finding = found(app)[MAY_NOT]
        assert finding.state == 'noted'
        assert 'It may use up the numbers of celery_taskmeta, which have 32 bits' in finding.outcome.note
        role.execute(finding.outcome.note.rpartition(': ')[2])
        assert found(app)[MAY_NOT].state == 'passed'

    def test_a_role_whose_name_has_to_be_quoted(self, role: Database) -> None:
        role.execute(f"""CREATE ROLE "Odd: {role.role}" LOGIN PASSWORD 'odd'""")
        upgrade(url_of(role), worker_role=f'Odd: {role.role}')
        role.execute(f'GRANT CONNECT ON DATABASE {role.name} TO "Odd: {role.role}"')
        app = app_on(result_backend=f'db+{url_of(role, f"Odd: {role.role}", "odd")}')
        assert states(app, 'results') == ['passed'] * 7
        role.execute(f'GRANT DELETE ON celery_taskmeta TO "Odd: {role.role}"')
        role.execute(*changes(found(app)[MAY_NOT]))
        assert states(app, 'results') == ['passed'] * 7

    def test_what_an_extension_has_brought_along_is_its_own_affair(self, app: Celery, role: Database) -> None:
        role.execute('CREATE TABLE ours (); GRANT SELECT ON ours TO PUBLIC')
        assert changes(found(app)[MAY_NOT]) == ['REVOKE SELECT ON TABLE ours FROM PUBLIC']
        role.execute('ALTER EXTENSION plpgsql ADD TABLE ours')
        assert found(app)[MAY_NOT].state == 'passed'

    def test_a_superuser(self, role: Database) -> None:
        app = app_on(result_backend=f'db+{url_of(role)}')
        findings = found(app)
        assert findings[MAY].state == 'passed'
        (problem,) = findings[MAY_NOT].outcome.problems
        assert (problem.where, problem.seen) == ('role postgres', 'it is a superuser and may do anything')
        assert 'toolbox tables --worker-role NAME' in problem.change
        assert run(app, 'check').exit_code == 1
        assert run(app, 'check', '--any-role').exit_code == 0

    def test_without_tables(self, app: Celery, role: Database) -> None:
        role.execute('DROP TABLE celery_taskmeta CASCADE')
        role.execute('DROP SEQUENCE taskset_id_sequence CASCADE')
        finding = found(app)['its tables are there']
        assert [problem.where for problem in finding.outcome.problems] == ['celery_taskmeta', 'taskset_id_sequence']
        assert changes(finding) == ['Create it, with a role that may: celery -A PROJECT toolbox tables'] * 2
        for step in (CLAIMS, PICKLES):
            assert found(app)[step].outcome.skipped == 'there is no table'

    def test_a_table_of_version_1_0(self, app: Celery, role: Database) -> None:
        role.execute('DROP VIEW celery_task_status, celery_task_scheduled')
        role.execute('ALTER TABLE celery_taskmeta DROP started, DROP lease, DROP runs, DROP replaced')
        (problem,) = found(app)[CLAIMS].outcome.problems
        assert problem.where == 'celery_taskmeta'
        assert problem.seen == 'it has no columns started, lease, runs, replaced, so tasks may run twice'
        assert problem.change == (
            'Add them, with a role that may: celery -A PROJECT toolbox tables. Then restart the workers.'
        )
        assert run(app, 'check').exit_code == 1
        without = app_on(result_backend=app.conf.result_backend, RUN_ONCE=False)
        assert found(without)[CLAIMS].outcome.skipped == 'RUN_ONCE is off'
        upgrade(url_of(role))
        assert found(app)[CLAIMS].state == 'passed'

    def test_a_table_that_celery_4_made(self, app: Celery, role: Database) -> None:
        """Its workers stored less."""
        role.execute('DROP VIEW celery_task_status, celery_task_scheduled')
        role.execute('ALTER TABLE celery_taskmeta DROP worker, DROP retries')
        (problem,) = found(app)[CLAIMS].outcome.problems
        assert problem.seen == 'it has no columns worker, retries, so tasks may run twice'
        upgrade(url_of(role))
        assert found(app)[CLAIMS].state == 'passed'

    def test_a_table_that_accepts_pickles(self, app: Celery, role: Database) -> None:
        upgrade(url_of(role), allow_pickle=True)
        finding = found(app)[PICKLES]
        assert finding.state == 'noted'
        assert finding.outcome.note.startswith(
            'celery_taskmeta accepts pickles: a program with plain Celery that reads one'
        )
        result = run(app, 'check')
        assert f'! results      {PICKLES}\n    Note:   celery_taskmeta accepts pickles' in result.output
        assert result.exit_code == 0
        upgrade(url_of(role))
        assert found(app)[PICKLES].state == 'passed'

    def test_names_and_schemas_of_ones_own(self, role: Database) -> None:
        names, schemas = {'task': 'My Results'}, {'task': 'Results'}
        role.execute('CREATE SCHEMA "Results"')
        upgrade(url_of(role), names, schemas, worker_role=role.role)
        role.execute(f'REVOKE ALL ON celery_taskmeta, task_id_sequence FROM {role.role}')
        settings = {'database_table_names': names, 'database_table_schemas': schemas}
        app = app_on(result_backend=f'db+{url_of(role, role.role, role.password)}', **settings)
        assert states(app, 'results') == ['passed'] * 7
        role.execute(f'REVOKE INSERT ON "Results"."My Results" FROM {role.role}')
        assert changes(found(app)[MAY]) == [f'GRANT INSERT ON TABLE "Results"."My Results" TO {role.role}']
        role.execute(f'REVOKE USAGE ON SCHEMA "Results" FROM {role.role}')
        assert 'permission denied for schema Results' in str(found(app)[MAY])

    def test_a_connection_cannot_write(self, role: Database) -> None:
        with ExitStack() as stack:
            connection = database_module._connect(url_of(role), stack)
            with pytest.raises(sa.exc.InternalError, match='read-only transaction'):
                connection.execute(sa.text('CREATE TABLE made_by_a_check ()'))

    def test_sqlite(self, tmp_path: Path) -> None:
        app = app_on(result_backend=f'db+sqlite:///{tmp_path}/results.db')
        finding = found(app)['the database can be reached']
        assert f"there is no file '{tmp_path}/results.db'" in finding.outcome.problems[0].seen
        assert list(tmp_path.iterdir()) == []
        upgrade(f'sqlite:///{tmp_path}/results.db')
        findings = found(app)
        assert findings['its tables are there'].state == findings[CLAIMS].state == 'passed'
        for step in (PICKLES, MAY, MAY_NOT):
            assert findings[step].outcome.skipped == 'SQLite has no roles'

    def test_sqlite_with_a_table_of_version_1_0(self, tmp_path: Path) -> None:
        url = f'sqlite:///{tmp_path}/results.db'
        tasks = TaskDatabase(url)
        for view in ('celery_task_status', 'celery_task_scheduled'):
            tasks.execute(f'DROP VIEW {view}')
        for column in ('started', 'lease', 'runs', 'replaced'):
            tasks.execute(f'ALTER TABLE celery_taskmeta DROP COLUMN {column}')
        app = app_on(result_backend=f'db+{url}')
        (problem,) = found(app)[CLAIMS].outcome.problems
        assert problem.seen == 'it has no columns started, lease, runs, replaced, so tasks may run twice'
        upgrade(url)
        assert found(app)[CLAIMS].state == 'passed'

    def test_another_database(self) -> None:
        finding = found(app_on(result_backend='db+mssql://ada:hush@localhost/'))['the database can be reached']
        assert 'is not the URL of a PostgreSQL or SQLite database' in finding.outcome.problems[0].seen

    @pytest.mark.parametrize('answers', [False, True])
    def test_out_of_reach(self, answers: bool, silence: str) -> None:
        app = app_on(result_backend=f'db+postgresql://ada:hush@{silence if answers else "127.0.0.1:1"}/db')
        result = run(app, 'check', '--database', f'postgresql://bob:hush@{silence}/db')
        assert result.exit_code == 1
        assert 'hush' not in result.output
        assert '✗ results      the database can be reached\n' in result.output
        assert 'start the database, or look at result_backend' in result.output
        assert f"{SKIPPED} results      {MAY_NOT} (because of the failure of 'the database can be" in result.output
        assert '✗ tasks        the Task table is written\n' in result.output


class TestTasks:
    TITLE = 'the Task table is written'
    COLUMNS = 'its tables and views have all columns'
    RIGHTS = 'the role may store, read or delete tasks'

    @pytest.fixture(params=['postgresql', 'sqlite'])
    def url(self, request: pytest.FixtureRequest, tmp_path: Path) -> str:
        if request.param == 'sqlite':
            (tmp_path / 'tasks.db').touch()
            return f'sqlite:///{tmp_path}/tasks.db'
        return url_of(request.getfixturevalue('database'))

    @pytest.mark.long
    def test_tables_and_the_newest_task(self, url: str) -> None:
        app = app_on(Broker('memory', 'memory://', {}))
        finding = found(app, database=url)[self.TITLE]
        assert [problem.where for problem in finding.outcome.problems] == [
            *('celery_task', 'celery_task_rejected', 'celery_worker', 'celery_monitor')
        ]
        findings = found(app, database=url)
        missing = [problem.where for problem in findings[self.COLUMNS].outcome.problems]
        assert missing == ['celery_task_scheduled', 'celery_task_status']
        assert findings[self.RIGHTS].state == 'skipped'
        tasks = TaskDatabase(url)
        findings = found(app, database=url)
        assert findings[self.TITLE].outcome.skipped == 'it has no task yet'
        assert findings[self.COLUMNS].state == 'passed'
        app.send_task('export.project')
        Monitor(app, url, once=True).run()
        assert tasks.count() == 1
        note = found(app, database=url)[self.TITLE].outcome.note
        assert re.fullmatch(r'the newest task was last seen \d+(\.\d)? m?s ago', note)

    def test_messages_that_could_not_be_read(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        TaskDatabase(url)
        change = 'celery toolbox rejected'
        with Store(url) as store:
            for number, text in enumerate(('', '1 message', '2 messages')):
                store.write([message('task')] if number == 0 else [message(properties={'type': text}, body=b'[42]')])
                outcome = found(app_on(), database=url)[self.TITLE].outcome
                assert outcome.is_noteworthy == (number > 0)
                assert outcome.note.partition('; ')[2] == (text and f'{text} could not be read: {change}')
        monkeypatch.setattr(database_module, '_MANY', 2)
        assert '; 2 messages could not be read' in found(app_on(), database=url)[self.TITLE].outcome.note
        monkeypatch.setattr(database_module, '_MANY', 1)
        assert 'more than 1 messages could not be read' in found(app_on(), database=url)[self.TITLE].outcome.note

    def test_a_role_that_may_not_read_what_was_rejected(self, database: Database) -> None:
        tasks = TaskDatabase(url_of(database))
        with Store(tasks.url) as store:
            store.write([message('task'), message(body=b'[42]')])
        tasks.execute(f'GRANT SELECT ON celery_task TO {database.role}')
        outcome = found(app_on(), database=url_of(database, database.role, database.password))[self.TITLE].outcome
        assert outcome.note.startswith('the newest task')
        assert not outcome.is_noteworthy

    def test_no_database_is_given(self) -> None:
        for title in (self.TITLE, self.COLUMNS, self.RIGHTS):
            assert found(app_on())[title].outcome.skipped == 'give --database to know'

    def test_tables_of_version_1_0(self, url: str) -> None:
        tasks = TaskDatabase(url)
        for view in ('celery_task_status', 'celery_task_scheduled'):
            tasks.execute(f'DROP VIEW {view}')
        for column in ('sent', 'body', 'resent'):
            tasks.execute(f'ALTER TABLE celery_task DROP COLUMN {column}')
        for view in ('celery_task_scheduled', 'celery_task_status'):
            tasks.execute(f'CREATE VIEW {view} AS SELECT * FROM celery_task')
        finding = found(app_on(), database=url)[self.COLUMNS]
        seen = {problem.where: problem.seen for problem in finding.outcome.problems}
        assert seen['celery_task'] == 'it has no columns sent, body, resent'
        assert seen['celery_task_status'].endswith('started, worker, runs, waited, ran, standing')
        assert set(changes(finding)) == {'Add them, with a role that may: celery -A PROJECT toolbox tables'}

    def test_roles(self, database: Database) -> None:
        names = {role: f'{database.name}_{role}' for role in ('monitor', 'reader', 'janitor')}
        upgrade(url_of(database), **{f'{role}_role': name for role, name in names.items()})
        for name in names.values():
            database.execute(f"GRANT CONNECT ON DATABASE {database.name} TO {name}; ALTER ROLE {name} PASSWORD 'x'")

        def rights(role: str) -> Finding:
            return found(app_on(), database=url_of(database, role, 'x'))[self.RIGHTS]

        assert [rights(name).outcome.note for name in names.values()] == [
            f'{names["monitor"]} may store',
            f'{names["reader"]} may read',
            f'{names["janitor"]} may read, delete',
        ]
        database.execute(f'REVOKE SELECT ON celery_task_status FROM {names["reader"]}')
        (problem,) = rights(names['reader']).outcome.problems
        assert (problem.where, problem.seen) == (
            f'role {names["reader"]}',
            'it may neither store nor read nor delete tasks',
        )
        assert 'toolbox tables --reader-role NAME' in problem.change


@pytest.mark.parametrize('broker', ['amqp'], indirect=True)
class TestProcess:
    """The real program, with the environment that a container gives it."""

    @pytest.fixture
    def toolbox(self, tmp_path: Path, processes: Processes, broker: Broker, database: Database) -> Toolbox:
        toolbox = Toolbox(tmp_path, processes, broker, url_of(database))
        toolbox.environment.update(database.environment)
        database.execute(f'REVOKE ALL ON celery_taskmeta, task_id_sequence FROM {database.role}')
        assert toolbox.start('tables', '--worker-role', database.role).wait() == 0
        return toolbox

    def test_a_system_that_is_well_and_one_that_is_not(
        self,
        toolbox: Toolbox,
        broker: Broker,
        database: Database,
    ) -> None:
        process = toolbox.start('check')
        assert process.wait() == 1
        assert '✗ broker       exchanges and queues are there, as they must be\n' in process.log
        app_on_broker = app_on(broker)
        setup_app(app_on_broker, throw=True)
        monitor = toolbox.monitor()
        app_on_broker.send_task('export.project')
        wait_until(lambda: database.execute('SELECT 1 FROM celery_task'), 'the task to be stored')
        process = toolbox.start('check')
        assert process.wait() == 0, process.log
        assert process.log.endswith('24 passed, 0 failed, 1 skipped\n')
        monitor.stop()
        document = toolbox.start('check', '--json', TOOLBOX_PRODUCER='1')
        assert document.wait() == 1
        failed = [finding['check'] for finding in json.loads(document.log)['findings'] if finding['state'] == 'failed']
        assert failed == [SHORT]
        for log in (process.log, document.log):
            assert 'test:test' not in log


def test_an_app_without_a_config() -> None:
    app = Celery('plain', set_as_current=False)
    app.config_from_object({**Config(broker_url='memory://').to_dict(), 'result_backend': 'rpc://'})
    failed = [finding.check for finding in check(app) if finding.state == 'failed']
    assert 'rule 6: results and starts are stored in a database' in failed
    assert 'the app can be loaded' not in failed
