"""The service `once` and a producer in one process, which the in-memory broker needs."""

from __future__ import annotations

import threading
from typing import Any

from celery.signals import worker_ready
from once import app, late


@worker_ready.connect
def begin(**kwargs: Any) -> None:
    threading.Thread(target=send, daemon=True).start()


def send() -> None:
    for _ in range(3):
        late.apply_async((None, 4), task_id='copy')


__all__ = ['app']
