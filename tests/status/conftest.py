"""Databases with the Task table."""

from __future__ import annotations

from ..monitor.conftest import fresh_connections, postgresql, tasks

__all__ = ['fresh_connections', 'postgresql', 'tasks']
