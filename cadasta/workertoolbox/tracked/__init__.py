"""Read tasks, with their states and results, from the view that joins them."""

from ..errors import NotUsable
from .counts import Count
from .filter import Filter
from .query import TrackedTasks
from .task import STATES, Cursor, TrackedTask
from .tree import Node, overall, tree

__all__ = ['STATES', 'Count', 'Cursor', 'Filter', 'Node', 'NotUsable', 'TrackedTask', 'TrackedTasks', 'overall', 'tree']
