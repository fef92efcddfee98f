"""`celery control` beside claims: whatever somebody tells a worker, no task is lost, or runs twice."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from .service import Service


@pytest.mark.slow
@pytest.mark.parametrize('broker', ['redis'], indirect=True)
def test_a_worker_that_is_told_much(once: Service, tmp_path: Path) -> None:
    gates = iter(tmp_path / str(number) for number in range(9))
    settings = {'worker_pool_restarts': True, 'worker_send_task_events': True}
    worker = once.start('-Q', 'once', '--autoscale', '2,1', lease=3, settings=settings)
    ended: list[str] = []

    def tell(command: str, **arguments: Any) -> None:
        broadcast = partial(once.app.control.broadcast, command, arguments, reply=True, limit=1, timeout=5)
        [answer] = once.wait_until(broadcast, f'an answer to {command}')
        assert 'ok' in answer['w1@here'], answer

    def begun(name: str) -> tuple[str, Path]:
        gate = next(gates)
        task_id = once.send(name, str(gate))
        once.wait_until(lambda: once.count('begin', task_id), f'{name} to begin')
        return task_id, gate

    def wait_for(*task_ids: str) -> None:
        for task_id in task_ids:
            once.wait_for_state(task_id, 'SUCCESS')
        ended.extend(task_ids)

    for signal in ('SIGTERM', 'SIGKILL'):
        terminated, _ = begun('late')
        tell('revoke', task_id=terminated, terminate=True, signal=signal)
        once.wait_for_state(terminated, 'REVOKED')
        assert (once.count('begin', terminated), once.count('end', terminated)) == (1, 0)

    runs, gate = begun('plain')
    tell('revoke', task_id=runs)
    tell('autoscale', max=3, min=3)
    tell('time_limit', task_name='once.plain', hard=600)
    wait_for(once.send('plain'))
    tell('autoscale', max=2, min=1)
    tell('disable_events')
    gate.touch()
    wait_for(runs, once.send('late'))

    tell('cancel_consumer', queue='once')
    waits = once.send('plain')
    # A read that waited for the queue when it was cancelled takes the message and gives it back.
    once.wait_until(lambda: once.broker.count('once') == 1, 'the message to stay in its queue')
    tell('add_consumer', queue='once')
    wait_for(waits)

    restarted, gate = begun('late')
    tell('pool_restart')
    gate.touch()
    wait_for(restarted, once.send('late'))

    tell('rate_limit', task_name='once.hooked', rate_limit='1/h')
    limited = [once.send('hooked') for _ in range(3)]
    worker.wait_for(limited[-1])
    runs, gate = begun('late')
    once.app.control.shutdown()
    worker.wait_for('Got shutdown from remote')
    gate.touch()
    assert worker.wait() == 0
    once.start('-Q', 'once', '-c', '1')
    wait_for(runs, *limited)
    assert {task_id: once.count('end', task_id) for task_id in ended} == dict.fromkeys(ended, 1)
    assert set(once.at_once().values()) == {1}
