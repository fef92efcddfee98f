"""A function that is called first in each forked process, by Python and by uWSGI."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from cadasta.workertoolbox.seams.forks import after_fork


def test_uwsgi_has_hooks_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []
    hooks: list[Callable[[], None]] = []
    monkeypatch.setitem(sys.modules, 'uwsgidecorators', SimpleNamespace(postfork=hooks.append))
    after_fork(lambda: called.append('child'))
    assert called == []
    (hook,) = hooks
    hook()
    assert called == ['child']


def test_no_other_process_knows_them() -> None:
    assert 'uwsgidecorators' not in sys.modules
    after_fork(lambda: None)
