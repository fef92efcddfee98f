"""The task monitor: from the platform queue into the Task table, each scheduled task once."""

from ..database.upgrade import upgrade
from ..errors import NotUsable
from .loop import Monitor

__all__ = ['Monitor', 'NotUsable', 'upgrade']
