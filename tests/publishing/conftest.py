from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from celery import Celery

from cadasta.workertoolbox.conf import Config
from rig.servers.broker import Broker

from ..monitor.conftest import fresh_connections

__all__ = ['fresh_connections']

Make = Callable[..., Celery]


@pytest.fixture
def make(broker: Broker) -> Make:
    """Makes an app on the broker."""

    def make(**settings: Any) -> Celery:
        app = Celery('export', set_as_current=False)
        queues = {'QUEUES': ['export', 'msg'], 'result_backend': 'db+sqlite://'}
        app.config_from_object(Config(**{**queues, **broker.settings, **settings}))
        return app

    return make


@pytest.fixture
def app(make: Make) -> Celery:
    return make()
