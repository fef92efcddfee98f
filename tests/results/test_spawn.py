"""Children that are new processes instead of forks: they guard claims, limit chords and wait as all others do."""

from __future__ import annotations

import sys
import uuid

import pytest

from rig.servers.environment import clean_environment
from rig.servers.process import Processes

from .service import PROJECTS, Service

pytestmark = [pytest.mark.slow, pytest.mark.parametrize('broker', ['redis'], indirect=True)]

SPAWN = ('-Q', 'once,celery', '--pool-start-method', 'spawn', '-c', '2')


def test_a_copy_does_not_run_and_a_chord_is_not_watched_for_ever(once: Service) -> None:
    worker = once.start(*SPAWN, lease=3, settings={'CHORD_UNLOCK_MAX_RETRIES': 7})
    task_id = uuid.uuid4().hex
    for _ in range(3):
        once.send('hooked', None, 2, task_id=task_id)
    limit = once.send('limit')
    once.wait_until(lambda: worker.log.count('is not run: it ended before') == 2, 'the copies to be dropped')
    assert [once.count(event, task_id) for event in ('before_start', 'call', 'begin')] == [1, 1, 1]
    assert once.row(task_id, 'status, runs') == ('SUCCESS', 1)
    once.wait_for_state(limit, 'SUCCESS')
    assert bytes(once.row(limit, 'result')) == b'7'


def test_the_config_of_a_function_reaches_the_children(once: Service) -> None:
    once.start(*SPAWN, project='made')
    once.wait_for_state(once.send('done'), 'SUCCESS')


def test_a_config_that_cannot_be_pickled_is_an_error(once: Service, processes: Processes) -> None:
    worker = processes.start(
        [sys.executable, '-m', 'celery', '-A', 'unpicklable', 'worker', *SPAWN],
        clean_environment(PROJECTS, **once.broker.environment),
    )
    assert worker.wait() != 0
    assert 'SettingError: task_routes cannot be pickled' in worker.log
