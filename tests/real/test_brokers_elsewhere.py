"""An app may name its broker beside its `Config`, and gets the transport of that broker with its options."""

from __future__ import annotations

import sys

import pytest

from rig.servers.broker import Broker
from rig.servers.environment import clean_environment
from rig.servers.process import Processes

pytestmark = [pytest.mark.slow, pytest.mark.parametrize('broker', ['redis', 'amqp'], indirect=True)]

PROJECT = """
import os
from celery import Celery
from cadasta.workertoolbox.conf import Config

URL = os.environ['URL']

def config():
    return Config(QUEUES=['export'], result_backend='db+sqlite:///results.sqlite')

{code}

@app.task(name='export.project')
def project():
    print('it ran', flush=True)

options = app.conf.broker_transport_options
assert options['queue_name_prefix'] == 'dev-'
assert ('confirm_publish' in options) == URL.startswith('amqp')
assert ('visibility_timeout' in options) == URL.startswith('redis')
assert not app.conf.broker_transport
"""


@pytest.mark.parametrize(
    'code',
    [
        "app = Celery('export', broker=URL, config_source=config())",
        "app = Celery('export', config_source=config())\nassert app.conf.QUEUES\napp.conf.broker_url = URL",
    ],
    ids=['at once', 'later'],
)
def test_the_worker_and_the_producer_use_it(processes: Processes, broker: Broker, code: str) -> None:
    (processes.logs / 'project.py').write_text(PROJECT.format(code=code))
    environment = clean_environment(processes.logs, URL=broker.url)
    worker = processes.start(
        [sys.executable, '-m', 'celery', '-A', 'project', 'worker', '-P', 'solo', '-l', 'INFO'],
        environment,
        processes.logs,
    )
    worker.wait_for(r'celery@.* ready\.')
    producer = processes.start(
        [sys.executable, '-c', 'from project import project; project.delay()'], environment, processes.logs
    )
    assert producer.wait() == 0, producer.log
    worker.wait_for('it ran')
    assert broker.count('platform.fifo') == 1
    assert len(broker.drain('platform.fifo')) == 1
