"""The table of Celery's settings."""

from __future__ import annotations

import pytest
from celery import Celery

from cadasta.workertoolbox.seams import celery_settings


def test_each_setting_of_an_app_is_in_the_table() -> None:
    settings = Celery('seams', set_as_current=False).conf.table(with_defaults=True)
    assert celery_settings.OPTIONS.keys() == settings.keys() - {'deprecated_settings'}


def test_a_setting_has_the_type_of_its_option() -> None:
    types = {option.type for option in celery_settings.OPTIONS.values()}
    assert {'int', 'float', 'bool', 'dict', 'list', 'string', 'any'} <= types
    assert celery_settings.OPTIONS['task_time_limit'].type == 'float'


def test_an_app_takes_a_setting_by_its_old_name() -> None:
    renamed = {old: new for old, new in celery_settings.NEW_NAMES.items() if old != new.upper()}
    assert renamed['CELERYD_CONCURRENCY'] == 'worker_concurrency'
    assert set(renamed.values()) <= celery_settings.OPTIONS.keys()
    app = Celery('seams', set_as_current=False)
    app.config_from_object({'CELERYD_CONCURRENCY': 3, 'CELERY_TASK_SERIALIZER': 'yaml'})
    assert (app.conf.worker_concurrency, app.conf.task_serializer) == (3, 'yaml')


@pytest.mark.parametrize(
    ('text', 'truth'),
    [
        ('true', True),
        ('Yes', True),
        ('on', True),
        ('1', True),
        ('false', False),
        ('no', False),
        ('OFF', False),
        ('0', False),
    ],
)
def test_text_that_is_true_or_false(text: str, truth: bool) -> None:
    assert celery_settings.truth_of(text) is truth


def test_text_that_is_neither() -> None:
    with pytest.raises(TypeError):
        celery_settings.truth_of('perhaps')
