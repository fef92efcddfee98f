"""Any mixture of settings, environment and bad input gives a Config that Celery accepts, or a documented error."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rig.servers.environment import is_foreign

from ..test_conf_properties import test_any_mixture_of_settings


def seeds() -> Iterator[bytes]:
    """Give inputs that Hypothesis makes something of: to it, they are choices."""
    for size in range(256, 4096, 256):
        yield random.Random(size).randbytes(size)


@contextmanager
def target() -> Iterator[Callable[[bytes], object]]:
    """Leave only what the test says in the environment, and give the function that takes an input."""
    for name in filter(is_foreign, list(os.environ)):
        del os.environ[name]
    yield test_any_mixture_of_settings.hypothesis.fuzz_one_input
