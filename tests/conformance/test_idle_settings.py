"""A note names the settings that do nothing where they stand. It names none that does something."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from celery import Celery

from cadasta.workertoolbox import Config

from ..commands.running import run
from .apps import add, make_app
from .judging import notes_on

IDLE = 'Rule 10: These settings do nothing where they stand: '


def changed(**settings: object) -> Celery:
    app = make_app()
    app.conf.update(**settings)
    return app


def changed_before_anything_else(**settings: object) -> Celery:
    """An app whose pending configuration takes the change."""
    app = Celery('export', set_as_current=False)
    app.config_from_object(Config(QUEUES=['export']))
    app.conf.update(settings)
    app.conf.task_time_limit = 9
    add(app, 'export.project')
    return app


def in_a_subclass() -> Celery:
    class Ours(Config):
        RESULT_DB_PASSWORD = 'correct-horse'
        TASK_TIMELIMIT = 60
        OUR_BUCKET = 'exports'

    return make_app(Ours)


def with_backoff(**options: object) -> Celery:
    app = make_app()
    add(app, 'export.archive', retry_backoff=True, **options)
    return app


@pytest.mark.parametrize(
    ('make', 'named'),
    [
        (lambda: changed(TASK_TIME_LIMIT=60), 'TASK_TIME_LIMIT is spelt task_time_limit in Celery'),
        (lambda: changed(CELERY_WORKER_POOL='solo'), 'CELERY_WORKER_POOL is spelt worker_pool in Celery'),
        (
            lambda: changed(QUEUE_PREFIX='prod', RESULT_DB_HOST='db'),
            (
                'QUEUE_PREFIX was changed in app.conf, but only Config reads it: give it to Config; '
                'RESULT_DB_HOST was changed in app.conf, but only Config reads it: give it to Config'
            ),
        ),
        (
            lambda: changed_before_anything_else(QUEUE_NAME_PREFIX='prod'),
            'QUEUE_NAME_PREFIX was changed in app.conf, but only Config reads it: give it to Config',
        ),
        (
            in_a_subclass,
            (
                'neither Config nor Celery knows RESULT_DB_PASSWORD, but they know RESULT_DB_PASS;'
                ' neither Config nor Celery knows TASK_TIMELIMIT, but they know task_time_limit'
            ),
        ),
    ],
    ids=['spelling', 'prefix', 'late', 'late and pending', 'subclass'],
)
def test_what_does_nothing_is_named(make: Callable[[], Celery], named: str) -> None:
    assert notes_on(make()) == [f'{IDLE}{named}.']


@pytest.mark.parametrize(
    'make',
    [
        make_app,
        lambda: make_app(OUR_BUCKET='exports', worker_concurrency=4, RESULT_DB_HOST='db'),
        lambda: changed(task_time_limit=60, OUR_BUCKET='exports', worker_concurrency=4, CHORD_UNLOCK_MAX_RETRIES=5),
        # Celery reads these names from before version 4.
        lambda: changed(BROKER_URL='sqs://', CELERYD_CONCURRENCY=4),
        lambda: changed_before_anything_else(task_soft_time_limit=5),
        lambda: with_backoff(autoretry_for=(OSError,)),
    ],
)
def test_what_does_something_is_not_named(make: Callable[[], Celery]) -> None:
    assert notes_on(make()) == []


def test_a_backoff_that_celery_does_not_heed_is_named() -> None:
    # The code of a task may compute with it.
    backoff = "Celery heeds retry_backoff only where a task has autoretry_for, and these have none: 'export.archive'."
    app = with_backoff()
    assert notes_on(app) == [f'Rule 10: {backoff}']
    app.conf.TASK_TIME_LIMIT = 60
    assert notes_on(app) == [f'{IDLE}TASK_TIME_LIMIT is spelt task_time_limit in Celery. {backoff}']


class TestProducer:
    def test_settings_of_workers_are_named(self) -> None:
        app = make_app(worker_concurrency=4)
        app.conf.worker_prefetch_multiplier = 1
        assert notes_on(app, is_worker=False) == [
            (
                f'{IDLE}worker_concurrency is for workers, and none is started from this codebase; '
                'worker_prefetch_multiplier is for workers, and none is started from this codebase.'
            )
        ]
        assert notes_on(make_app(worker_concurrency=4)) == []

    def test_those_that_beat_and_commands_read_are_not(self) -> None:
        app = make_app(worker_log_format='%(message)s', worker_hijack_root_logger=False, worker_redirect_stdouts=False)
        assert notes_on(app, is_worker=False) == []


def test_the_check() -> None:
    result = run(make_app(broker_url='memory://', worker_concurrency=4), 'check', '--offline', '--producer')
    assert result.exit_code == 0
    assert (
        '! conformance  rule 10: delays and settings take effect\n    Note:   These settings do nothing where they '
        'stand: worker_concurrency is for workers,'
    ) in result.output
