"""What was scheduled and what became of it: the layer that reads the view of tasks and results."""

from ..monitor.database import NotUsable
from .query import STATES, Count, Cursor, Filter, Statuses, TaskStatus
from .tree import Node, overall, tree

__all__ = ['STATES', 'Count', 'Cursor', 'Filter', 'Node', 'NotUsable', 'Statuses', 'TaskStatus', 'overall', 'tree']
