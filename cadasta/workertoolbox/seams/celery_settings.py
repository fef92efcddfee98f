"""Celery: the table of its settings."""

from collections.abc import Mapping
from typing import Any

from celery.app.defaults import _TO_NEW_KEY, NAMESPACES, flatten
from celery.utils.serialization import strtobool

#: Celery's options by the lower-case names of their settings. Each has a ``type``. It stands for the form of Celery's
#: table: Celery describes its settings for readers alone.
OPTIONS: Mapping[str, Any] = dict(flatten(NAMESPACES))

#: The lower-case names of the settings by the names that they had before Celery 4, such as ``CELERYD_CONCURRENCY``. It
#: stands for a dictionary that Celery keeps to itself: Celery renames old settings, and does not tell which those are.
NEW_NAMES: Mapping[str, str] = _TO_NEW_KEY


def truth_of(text: str) -> bool:
    """Read text as Celery reads a setting that is true or false.

    It stands for ``celery.utils.serialization.strtobool``. Celery's documentation lists it among the internals, and
    says nowhere which words it takes.

    :param text: one of ``true``, ``false``, ``yes``, ``no``, ``on``, ``off``, ``1`` and ``0``.
    :raises TypeError: where it is something else.
    """
    return bool(strtobool(text))
