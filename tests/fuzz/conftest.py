"""The database of the monitor's tests."""

from ..monitor.conftest import postgresql

__all__ = ['postgresql']
