"""A service whose app and tasks are made by a function, with a `Config` of a class of that function."""

from __future__ import annotations

from celery import Celery

from cadasta.workertoolbox.conf import Config


def make_app(name: str) -> Celery:
    class Ours(Config):
        QUEUES = ('once',)
        task_time_limit = 60

    app = Celery(name)
    app.config_from_object(Ours())
    return app


app = make_app('made')


@app.task(name='once.done')
def done() -> None: ...
