"""Celery: the table of its settings."""

from collections.abc import Mapping
from typing import Any

from celery.app.defaults import _TO_NEW_KEY, NAMESPACES, flatten
from celery.utils.serialization import strtobool

#: Celery's options by the lower-case names of their settings. Each has a ``type``. It uses the form of Celery's
#: table, because Celery describes its settings only in its documentation.
OPTIONS: Mapping[str, Any] = dict(flatten(NAMESPACES))

#: The lower-case names of the settings by their names before Celery 4, such as ``CELERYD_CONCURRENCY``. It uses a
#: private dictionary: Celery renames old settings, but has no public list of them.
NEW_NAMES: Mapping[str, str] = _TO_NEW_KEY


def truth_of(text: str) -> bool:
    """Read text as Celery reads a setting that is true or false.

    It uses ``celery.utils.serialization.strtobool``. Celery's documentation lists it among the internals, and
    does not say which words it takes.

    :param text: one of ``true``, ``false``, ``yes``, ``no``, ``on``, ``off``, ``1`` and ``0``.
    :raises TypeError: if it is another text.
    """
    return bool(strtobool(text))
