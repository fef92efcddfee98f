"""Sentry and OpenTelemetry, set up as the how-to shows, tell what workers, producers and monitors do."""

from __future__ import annotations

import gzip
import json
import shlex
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from rig.servers.filesystem import FilesystemBroker
from rig.servers.process import Processes, wait_until

from .manual import Manual
from .service import Service, sqlite, variables

pytestmark = pytest.mark.slow

(PAGE,) = PAGES = ['howto/errors']

TASKS = """
@app.task(name='export.fail')
def fail(secret):
    raise ValueError('broken')

@app.task(name='export.total')
def total(numbers):
    return sum(numbers)
"""
#: The functional tests pass, although the packages replace methods of Celery.
SEND = """
import unittest
from celery import chain
from cadasta.workertoolbox.tests import build_functional_tests
from export.tasks import app, fail, project

result = unittest.TestResult()
unittest.defaultTestLoader.loadTestsFromTestCase(build_functional_tests(app)).run(result)
assert result.wasSuccessful(), result
"""
NO_TASK = """
from export.celery import app

with app.producer_pool.acquire() as producer:
    producer.publish({}, exchange='task_exchange', routing_key='export', declare=app.amqp.queues.values())
"""


class Receiver:
    """An HTTP server that keeps what is posted to it."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers['Content-Length']))
                if self.headers.get('Content-Encoding') == 'gzip':
                    body = gzip.decompress(body)
                receiver.posted.append((self.path, body))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b'{}')

            def log_message(self, *arguments: object) -> None: ...

        self.server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.address = f'127.0.0.1:{self.server.server_port}'
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


@pytest.fixture
def service(processes: Processes, tmp_path: Path) -> Iterator[Service]:
    broker = FilesystemBroker(tmp_path)
    service = Service(processes, {**broker.environment, **sqlite(tmp_path)})
    with (service.directory / 'export' / 'tasks.py').open('a') as code:
        code.write(TASKS)
    service.celery('toolbox', 'tables')
    yield service
    broker.close()


def set_up(manual: Manual, service: Service, module: str, receiver: Receiver, host: str) -> None:
    """Add a module of the page, with its variables, to the service."""
    package = service.directory / 'export'
    (package / f'{module}.py').write_text(manual.file(PAGE, f'export/{module}.py'))
    with (package / 'celery.py').open('a') as code:
        code.write(f'from . import {module}\n')
    for block in manual.blocks(PAGE, 'sh'):
        shown = {name: value.replace(host, receiver.address) for name, value in variables(block.text).items()}
        service.environment.update({name: value.replace('https:', 'http:') for name, value in shown.items()})


def events(receiver: Receiver) -> list[dict[str, Any]]:
    """The events that came to Sentry. Each is the last line of an envelope."""
    envelopes = [[json.loads(line) for line in body.splitlines()] for _, body in receiver.posted]
    return [event for _, item, event in envelopes if item['type'] == 'event']


def test_the_packages_are_those_that_the_tests_have(manual: Manual, service: Service) -> None:
    commands = [shlex.split(command) for block in manual.blocks(PAGE, 'console') for command, _ in block.commands]
    packages = [package for command in commands for package in command[2:]]
    service.run('-m', 'pip', 'install', *packages, PIP_NO_INDEX='1')


def test_sentry(manual: Manual, service: Service, receiver: Receiver) -> None:
    set_up(manual, service, 'errors', receiver, 'sentry.example.org')
    service.environment.update(SENTRY_ENVIRONMENT='prod', SENTRY_RELEASE='1.2')
    worker = service.worker('-c', '1')
    service.run('-c', f"{SEND}project.delay(1); fail.apply_async(('hush',), task_id='failed')")
    (event,) = wait_until(lambda: events(receiver), 'an event')
    assert (event['transaction'], event['environment'], event['release']) == ('export.fail', 'prod', '1.2')
    assert event['tags']['celery_task_id'] == 'failed'
    assert [error['type'] for error in event['exception']['values']] == ['ValueError']
    assert 'hush' not in json.dumps(event)
    assert worker.stop() == 0
    service.run('-c', NO_TASK)
    service.celery('toolbox', 'monitor', '--once')
    _, event = wait_until(lambda: events(receiver)[1:] and events(receiver), 'what the monitor logs')
    assert (event['logger'], event['level']) == ('cadasta.workertoolbox.monitor.store', 'warning')
    assert event['logentry']['formatted'].startswith('Rejected a message: ')


def spans(receiver: Receiver) -> list[Span]:
    requests = [ExportTraceServiceRequest.FromString(body) for _, body in receiver.posted]
    resources = [resource for request in requests for resource in request.resource_spans]
    return [span for resource in resources for scope in resource.scope_spans for span in scope.spans]


def test_opentelemetry(manual: Manual, service: Service, receiver: Receiver) -> None:
    set_up(manual, service, 'tracing', receiver, 'collector.example.org:4318')
    worker = service.worker('-c', '1')
    producer = service.run(
        '-c', f"{SEND}chain(project.s(1), app.signature('export.total', ([1],), immutable=True)).delay()"
    )
    assert 'Invalid type' not in producer.log
    names = {'apply_async/export.project', 'run/export.project', 'apply_async/export.total', 'run/export.total'}
    wait_until(lambda: {span.name for span in spans(receiver)} >= names, 'spans')
    assert worker.stop() == 0
    assert 'Invalid type' not in worker.log
    (trace,) = {span.trace_id.hex() for span in spans(receiver)}
    # It runs, is retried, and runs again.
    assert [span.name for span in spans(receiver)].count('run/export.project') == 2
    service.celery('toolbox', 'monitor', '--once')
    (statement,) = manual.blocks(PAGE, 'postgresql')
    with sa.create_engine(service.environment['TOOLBOX_DATABASE'], poolclass=sa.NullPool).connect() as connection:
        stored = connection.execute(sa.text(statement.text)).all()
    assert {name for _, name, _ in stored} == {'export.project', 'export.total'}
    assert all(parent.startswith(f'00-{trace}-') for _, _, parent in stored)
