"""Each message of a task goes to the producer that a function chooses, whoever has found another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from celery import Celery, group

from cadasta.workertoolbox.seams.celery_sending import choose_producers


class Kept:
    """Takes messages in place of a producer."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    def publish(self, body: Any, headers: Mapping[str, Any], **options: Any) -> None:
        self.ids.append(headers['id'])


def test_a_function_chooses_the_producer() -> None:
    app = Celery('export', broker='memory://', set_as_current=False)
    kept, asked = Kept(), []

    def choose(of: Celery, producer: Any, headers: Mapping[str, Any]) -> Any:
        assert of is app
        assert producer.connection is not None
        asked.append(headers['id'])
        return kept

    for _ in range(2):
        choose_producers(app, choose)
    signature = app.signature('export.project', app=app)
    results = [app.send_task('export.project'), signature.delay(), *group((signature, signature), app=app)().results]
    with app.connection_for_write() as connection:
        results.append(app.send_task('export.project', connection=connection))
    assert kept.ids == asked == [result.id for result in results]
