"""A service whose `Config` cannot be pickled."""

from __future__ import annotations

from typing import Any

from celery import Celery

from cadasta.workertoolbox.conf import Config


def make_app() -> Celery:
    def route(name: str, *args: Any, **options: Any) -> str:
        return 'once'

    app = Celery('unpicklable')
    app.config_from_object(Config(QUEUES=['once'], task_routes=route))
    return app


app = make_app()
