"""Receivers hear of a signal, or are left out."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from celery.signals import after_task_publish, worker_init, worker_ready

from cadasta.workertoolbox.seams import celery_signals
from cadasta.workertoolbox.signals import set_up_worker
from rig.servers.environment import clean_environment


def test_receivers_that_came_and_went_are_as_before() -> None:
    heard: list[str] = []

    def first(**kwargs: Any) -> None:
        heard.append('first')

    def second(**kwargs: Any) -> None:
        heard.append('second')

    for signal in (worker_ready, after_task_publish):
        signal.connect(first)
        with celery_signals.kept_receivers():
            signal.connect(second)
            signal.disconnect(first)
            signal.send(sender=None)
        signal.send(sender=None)
        signal.disconnect(first)
        assert heard == ['second', 'first']
        heard.clear()


def test_the_receivers_of_a_module_that_is_imported_meanwhile_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / 'late_receivers.py').write_text(
        'from celery.signals import worker_ready\n@worker_ready.connect\ndef receive(**kwargs): return "late"\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    with celery_signals.kept_receivers():
        module = importlib.import_module('late_receivers')
    assert (module.receive, 'late') in worker_ready.send(sender=None)
    worker_ready.disconnect(module.receive)


def test_nobody_hears_of_a_signal() -> None:
    heard: list[object] = []

    def hear(**kwargs: Any) -> None:
        heard.append(kwargs)

    with celery_signals.kept_receivers():
        worker_init.connect(hear)
        celery_signals.disconnect_all(worker_init)
        worker_init.send(sender=None)
        assert not worker_init.has_listeners()
    assert heard == []


class Receiver:
    def __call__(self, **kwargs: Any) -> None: ...

    def hear(self, **kwargs: Any) -> None: ...


def test_the_receivers_of_the_app_itself_hear_of_nothing() -> None:
    def hear(**kwargs: Any) -> None: ...

    receiver = Receiver()
    with celery_signals.kept_receivers():
        # Other tests of this process may have connected some.
        celery_signals.disconnect_own(worker_init)
        ours = set(map(id, worker_init.receivers))
        worker_init.connect(hear)
        worker_init.connect(receiver.hear)
        worker_init.connect(receiver, weak=False)
        assert celery_signals.disconnect_own(worker_init) == [
            f'{__name__}.test_the_receivers_of_the_app_itself_hear_of_nothing.<locals>.hear',
            f'{__name__}.Receiver.hear',
            f'{__name__}.Receiver',
        ]
        # The receiver of this package, which sets the app up, is still there.
        assert set_up_worker in [answer for answer, _ in worker_init.send(sender=Stranger())]
        assert {id(entry) for entry in worker_init.receivers} <= ours


class Stranger:
    """A worker whose app has no Config."""

    app = Celery('seams', set_as_current=False)


DJANGO = """
import django.conf
from celery import Celery
from celery.signals import worker_init
from cadasta.workertoolbox.seams.celery_signals import disconnect_django

def ours(**kwargs): ...

with Celery('seams', set_as_current=False) as app:
    worker_init.connect(ours)
    worker_init.connect(lambda **kwargs: None, weak=False)
    print(len(worker_init.send(sender=None)))
    disconnect_django()
    print(len(worker_init.send(sender=None)))
"""


@pytest.mark.process
def test_django_hears_of_no_worker(tmp_path: Path) -> None:
    (tmp_path / 'site_settings.py').write_text('')
    shown = subprocess.run(
        [sys.executable, '-c', DJANGO],
        cwd=tmp_path,
        env={**clean_environment(), 'DJANGO_SETTINGS_MODULE': 'site_settings'},
        check=True,
        capture_output=True,
        text=True,
    )
    assert shown.stdout.split() == ['3', '2']
