"""Read tasks, with their states and results, from the view that joins them."""

from ..errors import NotUsable
from .counts import Count
from .extent import Extent
from .failures import Failure
from .filter import Filter
from .query import TrackedTasks
from .stats import TaskStats
from .task import STATES, Cursor, TrackedTask
from .tree import Node, overall, tree
from .workers import ReportedWorker

__all__ = [
    'STATES',
    'Count',
    'Cursor',
    'Extent',
    'Failure',
    'Filter',
    'Node',
    'NotUsable',
    'ReportedWorker',
    'TaskStats',
    'TrackedTask',
    'TrackedTasks',
    'overall',
    'tree',
]
