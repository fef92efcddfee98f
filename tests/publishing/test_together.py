"""Workflows that were published in a batch, with a worker whose tasks publish batches, and the platform."""

from __future__ import annotations

from typing import Any

import pytest
from celery import chain, chord, group

from cadasta.workertoolbox import Monitor, batch
from rig.monitor.databases import url_of
from rig.servers.broker import Broker
from rig.servers.postgres import Database
from rig.servers.process import Processes

from ..results.service import service

pytestmark = pytest.mark.slow


@pytest.mark.parametrize('broker', ['sqs'], indirect=True)
def test_workflows_of_a_batch_run_and_are_tracked(broker: Broker, upgraded: Database, processes: Processes) -> None:
    url = url_of(upgraded)
    with service(broker, upgraded, processes) as made:
        made.start('-Q', 'once,celery', '-c', '2', project='together')
        app = made.app

        def add(*numbers: int) -> Any:
            return app.signature('once.add_together', numbers, app=app)

        with batch(app):
            steps = chain(add(1, 2), add(3), add(4)).delay()
            several = group((add(1, 1), add(2, 2)), app=app).delay()
            joined = chord((add(1, 1), add(2, 2)), app.signature('once.sum', app=app), app=app).delay()
            app.send_task('once.retried_together', task_id='again')
            app.send_task('once.replaced_together', ([1, 2],), task_id='replaced')
            app.send_task('once.broken_together', task_id='broken')
        assert steps.get(timeout=60) == 10
        assert several.get(timeout=60) == [2, 4]
        assert joined.get(timeout=60) == 6
        for task_id, state in {
            **dict.fromkeys(('again', 'again-1', 'replaced', 'replaced-before'), 'SUCCESS'),
            'broken': 'FAILURE',
        }.items():
            made.wait_for_state(task_id, state)
        assert app.AsyncResult('replaced').get() == 3
        assert made.count('begin', 'again') == 2
        Monitor(app, url, once=True).run()
    parents = [steps.parent, steps.parent.parent, *several.results, *joined.parent.results]
    expected = {result.id for result in (steps, joined, *parents)}
    expected |= {'again', 'again-1', 'replaced', 'replaced-before', 'broken'}
    rows = upgraded.execute('SELECT task_id, status FROM celery_task_status WHERE name <> %s', 'celery.chord_unlock')
    assert {task_id for task_id, _ in rows} == expected
    assert {task_id for task_id, status in rows if status != 'SUCCESS'} == {'broken'}
