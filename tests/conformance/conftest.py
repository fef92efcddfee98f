"""Each app of these tests is forgotten after its test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import cadasta.workertoolbox.signals  # noqa: F401  # its receivers stay
from cadasta.workertoolbox.seams.celery_signals import kept_receivers


@pytest.fixture(autouse=True)
def forget_receivers() -> Iterator[None]:
    """Disconnects the receivers that a test has connected: a later test would call them, or name them in a note."""
    with kept_receivers():
        yield
