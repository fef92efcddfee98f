"""Celery: the receivers of its signals."""

import sys
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

    The receivers of a module that is imported in between stay: Python will not connect them another time.

    It uses the attribute ``receivers`` of each signal, a list of keys and receivers. Celery has no
    public list of receivers, and ``disconnect`` needs the receiver.
    """
    kept = [(signal, list(signal.receivers)) for signal in _SIGNALS]
    imported = set(sys.modules)
    try:
        yield
    finally:
        for signal, receivers in kept:
            new = [entry for entry in signal.receivers if _named(entry[1]).__module__ not in imported]
            signal.receivers[:] = receivers + new


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


def disconnect_own(signal: Any) -> list[str]:
    """Disconnect the receivers of a signal that belong to the app, and leave those of Celery and of this package.

    It uses the attribute ``receivers``, as `kept_receivers` does.

    :param signal: the signal.
    :returns: the names of those that it has disconnected.
    """
    names = {id(entry): _name(entry[1]) for entry in signal.receivers}
    own = {key: name for key, name in names.items() if not name.startswith(_NOT_OWN)}
    signal.receivers[:] = [entry for entry in signal.receivers if id(entry) not in own]
    return list(own.values())


_NOT_OWN = ('celery.', 'cadasta.workertoolbox.')


def _name(receiver: Any) -> str:
    named = _named(receiver)
    return f'{named.__module__}.{named.__qualname__}'


def _named(receiver: Any) -> Any:
    receiver = _itself(receiver)
    # A class whose instance is called has a name, and the instance has none.
    return receiver if hasattr(receiver, '__qualname__') else type(receiver)


def _is_of_django(receiver: Any) -> bool:
    return isinstance(getattr(_itself(receiver), '__self__', None), DjangoFixup)


def _itself(receiver: Any) -> Any:
    return receiver() if isinstance(receiver, weakref.ref) else receiver
