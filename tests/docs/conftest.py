from __future__ import annotations

import pytest

from .manual import Manual


@pytest.fixture(scope='session')
def manual(tmp_path_factory: pytest.TempPathFactory) -> Manual:
    """The manual, built without a warning."""
    return Manual(tmp_path_factory.mktemp('manual'))
