"""Messages with one id: one of them runs, the others do not, whatever becomes of it."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from .service import Service


EVERY_BROKER = pytest.mark.parametrize('broker', ['filesystem', 'redis', 'amqp', 'sqs'], indirect=True)


@EVERY_BROKER
def test_three_copies_run_once(once: Service, tmp_path: Path) -> None:
    worker = once.start('-Q', 'once', '-c', '3', lease=3)
    gate, task_id = tmp_path / 'gate', uuid.uuid4().hex
    for _ in range(3):
        once.send('late', str(gate), task_id=task_id)
    once.wait_until(lambda: worker.log.count('is not run: it runs on') >= 4, 'the copies to come back')
    assert once.count('begin', task_id) == 1
    gate.touch()
    once.wait_for_state(task_id, 'SUCCESS')
    once.wait_until(lambda: worker.log.count('is not run: it ended before') == 2, 'the copies to be dropped')
    once.send('late', task_id=task_id)
    once.wait_until(lambda: worker.log.count('is not run: it ended before') == 3, 'the late copy to be dropped')
    assert once.count('begin', task_id) == 1
    assert once.row(task_id, 'runs, status') == (1, 'SUCCESS')
    assert not once.broker.count('once')
