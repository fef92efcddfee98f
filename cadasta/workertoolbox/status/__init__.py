"""What was scheduled and what became of it: the layer that reads the view of tasks and results."""

from ..monitor.database import NotUsable
from .query import STATES, Count, Cursor, Filter, Statuses, TaskStatus

__all__ = ['STATES', 'Count', 'Cursor', 'Filter', 'NotUsable', 'Statuses', 'TaskStatus']
