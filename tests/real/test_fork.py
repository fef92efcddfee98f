"""A process that was forked from one that has published starts with no connection, and both go on publishing."""

from __future__ import annotations

import sys

import pytest

from rig.servers.broker import Broker
from rig.servers.environment import clean_environment
from rig.servers.process import Processes

pytestmark = [pytest.mark.slow, pytest.mark.parametrize('broker', ['redis', 'amqp', 'sqs'], indirect=True)]

EACH = 20
SEND = """
import os, sys, threading
from celery import Celery
from cadasta.workertoolbox.conf import Config

app = Celery('export')
app.config_from_object(Config(QUEUES=['export'], result_backend='db+sqlite://'))

def publish(count=20):
    for _ in range(count):
        app.send_task('export.project')

def fork(work):
    pid = os.fork()
    if pid == 0:
        work()
        sys.exit()
    return pid

def ends_well(pid):
    assert os.waitpid(pid, 0)[1] == 0
"""
PUBLISHED = """
publish(1)
child = fork(publish)
publish()
ends_well(child)
publish(1)
"""
# Another thread holds the only connection of the pool, and its lock, when the process is forked.
HELD = """
app.conf.broker_pool_limit = 1
with app.producer_or_acquire() as producer:
    app.send_task('export.project', producer=producer)
    child = fork(publish)
    ends_well(child)
publish()
publish(1)
"""
IN_A_CHILD = """
publish(1)
ends_well(fork(lambda: ends_well(fork(publish))))
publish()
publish(1)
"""
# The child of a child, and a second app that shares the pools of the first.
TWO_APPS = """
first, app = app, Celery('plain', broker=app.conf.broker_url, set_as_current=False)
app.config_from_object(Config(QUEUES=['export'], result_backend='db+sqlite://'))
publish(1)
app = first
child = fork(publish)
publish()
ends_well(child)
publish(1)
"""


@pytest.mark.parametrize('code', [PUBLISHED, HELD, IN_A_CHILD, TWO_APPS])
def test_all_arrives(processes: Processes, broker: Broker, code: str) -> None:
    program = processes.start([sys.executable, '-c', SEND + code], clean_environment(**broker.environment))
    assert program.wait(20) == 0, program.log
    assert program.log == ''
    assert (broker.count('export'), broker.count('platform.fifo')) == (2 * EACH + 2, 2 * EACH + 2)
