"""Each test of the database connects anew."""

from __future__ import annotations

from ..monitor.conftest import fresh_connections

__all__ = ['fresh_connections']
