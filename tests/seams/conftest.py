from __future__ import annotations

from ..leases.conftest import holder

__all__ = ['holder']
