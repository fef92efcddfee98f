"""The parts that the apps of these tests are made of."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from celery import Celery
from kombu import Exchange, Queue

from cadasta.workertoolbox.conf import Config

EXCHANGE = Exchange('task_exchange', 'topic')
PLATFORM = Queue('platform.fifo', EXCHANGE, routing_key='#')


@dataclass
class Case:
    """An app, how it is judged, and the number of the rule that it breaks: none for a sound app."""

    make: Callable[[], Celery]
    rule: int | None = None
    is_worker: bool = True
    environ: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def environment(self) -> Iterator[None]:
        """Gives the process's environment while the app is made and judged."""
        before = dict(os.environ)
        for name in list(os.environ):
            if name.startswith(('AWS_', 'CELERY_', 'RESULT_DB_', 'QUEUE_')):
                del os.environ[name]
        os.environ.update(self.environ)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def work_queue(name: str, **options: Any) -> Queue:
    return Queue(name, EXCHANGE, routing_key=name, **options)


def queues(*more: Queue, without: str = '') -> list[Queue]:
    """The queues of an app with QUEUES=['export', 'msg'], and more."""
    usual = [work_queue('celery'), work_queue('export'), work_queue('msg'), PLATFORM]
    return [queue for queue in usual if queue.name != without] + list(more)


def make_app(config: type[Config] = Config, **settings: Any) -> Celery:
    """A worker's app with the tasks export.project and msg.send."""
    app = Celery('export', set_as_current=False)
    app.config_from_object(config(**{'QUEUES': ['export', 'msg'], **settings}))
    add(app, 'export.project')
    add(app, 'msg.send')
    return app


def routed_later(*routes: Any) -> Celery:
    """The same app, with routes that are set when it has its Config already. An ellipsis stands for Config's own."""
    app = make_app()
    app.conf.task_routes = [app.conf.task_routes if route is ... else route for route in routes] or None
    return app


def run(project: int, page: int = 1) -> None:
    raise AssertionError('the functional tests ran a task')


def add(app: Celery, name: str, function: Callable[..., Any] = run, **options: Any) -> None:
    app.task(function, name=name, shared=False, **options)
