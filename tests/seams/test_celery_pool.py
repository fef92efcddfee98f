"""How a worker starts the children of its pool."""

from __future__ import annotations

import pytest
from celery import Celery
from celery.worker import WorkController

from cadasta.workertoolbox.seams import celery_pool


@pytest.mark.parametrize('start_method', ['fork', 'spawn'])
@pytest.mark.parametrize('platform', ['fork', 'spawn'])
def test_children_may_be_new_processes(monkeypatch: pytest.MonkeyPatch, start_method: str, platform: str) -> None:
    app = Celery('seams', broker='memory://', set_as_current=False)
    worker = WorkController(app=app, pool='solo', pool_start_method=start_method)
    monkeypatch.setattr(celery_pool, 'get_start_method', lambda: platform)
    assert celery_pool.spawns(worker) is ('spawn' in (start_method, platform))
