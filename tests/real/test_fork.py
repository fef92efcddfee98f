"""A process that was forked from one that has published starts with no connection, and both go on publishing."""

from __future__ import annotations

import sys

import pytest

from rig.servers.broker import Broker
from rig.servers.environment import clean_environment
from rig.servers.process import Processes

pytestmark = [pytest.mark.slow, pytest.mark.parametrize('broker', ['redis', 'amqp', 'sqs'], indirect=True)]

SEND = """
import os, sys
from celery import Celery, group
from cadasta.workertoolbox.conf import Config

app = Celery('export')
app.config_from_object(Config(QUEUES=['export'], result_backend='db+sqlite://'))

def publish():
    group(app.signature('export.project') for _ in range(5)).apply_async()
    for _ in range(5):
        app.send_task('export.project')

def fork(*work):
    pid = os.fork()
    if pid == 0:
        for each in work:
            each()
        sys.exit()
    return pid

def ends_well(pid):
    assert os.waitpid(pid, 0)[1] == 0

publish()
"""
#: The child of a child, too.
WHILE_IT_PUBLISHES = """
child = fork(lambda: ends_well(fork(publish)), publish)
publish()
ends_well(child)
"""
#: The only connection of the pool, and its lock, are held when the process is forked.
WHILE_ALL_ARE_HELD = """
app.conf.broker_pool_limit = 1
with app.producer_or_acquire() as producer, app.pool._resource.mutex, app.producer_pool._resource.mutex:
    ends_well(fork(publish))
publish()
publish()
"""


@pytest.mark.parametrize(
    'code',
    [
        pytest.param(WHILE_IT_PUBLISHES, id='while it publishes'),
        pytest.param(WHILE_ALL_ARE_HELD, id='while all are held'),
    ],
)
def test_all_arrives(processes: Processes, broker: Broker, code: str) -> None:
    program = processes.start([sys.executable, '-c', SEND + code], clean_environment(**broker.environment))
    assert program.wait() == 0, program.log
    assert program.log == ''
    assert (broker.count('export'), broker.count('platform.fifo')) == (40, 40)
