"""The task monitor: it drains the platform queue and stores each scheduled task once in the Task table."""

from ..database.upgrade import upgrade
from ..errors import NotUsable
from .loop import Monitor

__all__ = ['Monitor', 'NotUsable', 'upgrade']
