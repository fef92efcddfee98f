"""Variables that Kubernetes makes for a service, beside those of somebody who sets them."""

from __future__ import annotations

import warnings

import pytest

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.settings.service_links import is_service_link

LINK = 'tcp://10.0.0.7:5432'


@pytest.mark.parametrize(
    ('name', 'value', 'is_link'),
    [
        ('RESULT_DB_PORT', LINK, True),
        ('RESULT_DB_PORT_5432_TCP', LINK, True),
        ('RESULT_DB_PORT_5432_TCP_ADDR', '10.0.0.7', True),
        ('RESULT_DB_SERVICE_HOST', '10.0.0.7', True),
        ('RESULT_DB_PORT', '5432', False),
        ('RESULT_DB_HOST', LINK, False),
        ('RESULT_DB_PORT', f'{LINK} or so', False),
    ],
)
def test_links(name: str, value: str, is_link: bool) -> None:
    assert is_service_link(name, value) is is_link


def test_a_service_that_is_called_like_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('RESULT_DB_PORT', LINK)
    with warnings.catch_warnings(action='error'):
        assert Config().RESULT_DB_PORT == '5432'
        monkeypatch.setenv('CELERY_RESULT_DB_PORT', '6432')
        assert Config().RESULT_DB_PORT == '6432'
