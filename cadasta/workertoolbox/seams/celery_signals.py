"""Celery: who hears of a signal."""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery import signals
from celery.fixups.django import DjangoFixup
from celery.utils.dispatch import Signal

_SIGNALS = [value for value in vars(signals).values() if isinstance(value, Signal)]


@contextmanager
def kept_receivers() -> Iterator[None]:
    """Let receivers of any signal come and go, and undo that at the end.

    It stands for the attribute ``receivers`` of each signal, a list of keys and receivers. Celery does not tell who
    is connected, and ``disconnect`` asks for the receiver.
    """
    kept = [(signal, list(signal.receivers)) for signal in _SIGNALS]
    try:
        yield
    finally:
        for signal, receivers in kept:
            signal.receivers[:] = receivers


def disconnect_all(signal: Any) -> None:
    """Let nobody hear of a signal.

    It stands for the attribute ``receivers``, as `kept_receivers` does.

    :param signal: the signal.
    """
    signal.receivers.clear()


def disconnect_django() -> None:
    """Leave the connections to Django's databases open when a worker initialises itself.

    It stands for ``DjangoFixup``, which closes them on ``worker_init``, and for the attribute ``receivers``. The
    app does not tell which fixups it has, and ``disconnect`` asks for the receiver.
    """
    signals.worker_init.receivers[:] = [entry for entry in signals.worker_init.receivers if not _is_of_django(entry[1])]


def _is_of_django(receiver: Any) -> bool:
    if isinstance(receiver, weakref.ref):
        receiver = receiver()
    return isinstance(getattr(receiver, '__self__', None), DjangoFixup)
