"""Celery: the receivers of its signals."""

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
    """Let code connect and disconnect receivers of any signal, and restore the receivers at the end.

    It uses the attribute ``receivers`` of each signal, a list of keys and receivers. Celery has no
    public list of receivers, and ``disconnect`` needs the receiver.
    """
    kept = [(signal, list(signal.receivers)) for signal in _SIGNALS]
    try:
        yield
    finally:
        for signal, receivers in kept:
            signal.receivers[:] = receivers


def disconnect_all(signal: Any) -> None:
    """Disconnect all receivers of a signal.

    It uses the attribute ``receivers``, as `kept_receivers` does.

    :param signal: the signal.
    """
    signal.receivers.clear()


def disconnect_django() -> None:
    """Leave the connections to Django's databases open when a worker initialises itself.

    It uses ``DjangoFixup``, which closes them on ``worker_init``, and the attribute ``receivers``. The app
    has no public list of its fixups, and ``disconnect`` needs the receiver.
    """
    signals.worker_init.receivers[:] = [entry for entry in signals.worker_init.receivers if not _is_of_django(entry[1])]


def _is_of_django(receiver: Any) -> bool:
    if isinstance(receiver, weakref.ref):
        receiver = receiver()
    return isinstance(getattr(receiver, '__self__', None), DjangoFixup)
