"""The task monitor: from the platform queue into the Task table, each scheduled task once."""

from .database import NotUsable
from .loop import Monitor
from .upgrade import upgrade

__all__ = ['Monitor', 'NotUsable', 'upgrade']
