"""Run Celery so that every task and every result is accounted for.

The names in ``__all__`` are public. The package imports each when somebody asks for it, so that an app does not pay for
the libraries of the monitor. All other names in its modules are private, and may change in any release.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .conf import Config
    from .database.upgrade import upgrade, upgrade_outbox
    from .errors import (
        BadOutbox,
        BadTaskId,
        ChangeError,
        ConformanceNote,
        NoCurrentApp,
        NotAllowed,
        NotConfigured,
        NotUsable,
        SettingError,
        TaskModuleError,
        ToolboxError,
        Unreadable,
        UnreadableResult,
    )
    from .monitor.loop import Monitor
    from .publishing import NotAllSent, batch, outbox
    from .relay import Relay
    from .setup import SETUP_FUNCS, setup_app
    from .tests import build_functional_tests
    from .topology import Declaration, Topology, WorkQueue, key_of
    from .tracked import (
        STATES,
        Count,
        Cursor,
        Extent,
        Failure,
        Filter,
        Node,
        ReportedWorker,
        TaskStats,
        TrackedTask,
        TrackedTasks,
        overall,
        tree,
    )
    from .transports.amqp import NotConfirmed
    from .ui.app import create_app
    from .utils import extract_followups

__version__ = '1.1.0.dev0'

__all__ = [
    'DEFAULT_QUEUES',
    'SETUP_FUNCS',
    'STATES',
    'BadOutbox',
    'BadTaskId',
    'ChangeError',
    'Config',
    'ConformanceNote',
    'Count',
    'Cursor',
    'Declaration',
    'Extent',
    'Failure',
    'Filter',
    'Monitor',
    'NoCurrentApp',
    'Node',
    'NotAllSent',
    'NotAllowed',
    'NotConfigured',
    'NotConfirmed',
    'NotUsable',
    'Relay',
    'ReportedWorker',
    'SettingError',
    'TaskModuleError',
    'TaskStats',
    'ToolboxError',
    'Topology',
    'TrackedTask',
    'TrackedTasks',
    'Unreadable',
    'UnreadableResult',
    'WorkQueue',
    'batch',
    'build_functional_tests',
    'create_app',
    'extract_followups',
    'key_of',
    'outbox',
    'overall',
    'setup_app',
    'tree',
    'upgrade',
    'upgrade_outbox',
]

#: The work queues of an app whose `Config` names none.
DEFAULT_QUEUES: tuple[str, ...] = ('msg', 'export')

_NAMES_BY_MODULE = {
    'conf': ('Config',),
    'database.upgrade': ('upgrade', 'upgrade_outbox'),
    'errors': (
        'BadOutbox',
        'BadTaskId',
        'ChangeError',
        'ConformanceNote',
        'NoCurrentApp',
        'NotAllowed',
        'NotConfigured',
        'NotUsable',
        'SettingError',
        'TaskModuleError',
        'ToolboxError',
        'Unreadable',
        'UnreadableResult',
    ),
    'monitor.loop': ('Monitor',),
    'publishing': ('NotAllSent', 'batch', 'outbox'),
    'relay': ('Relay',),
    'setup': ('SETUP_FUNCS', 'setup_app'),
    'tests': ('build_functional_tests',),
    'topology': ('Declaration', 'Topology', 'WorkQueue', 'key_of'),
    'tracked': (
        'STATES',
        'Count',
        'Cursor',
        'Extent',
        'Failure',
        'Filter',
        'Node',
        'ReportedWorker',
        'TaskStats',
        'TrackedTask',
        'TrackedTasks',
        'overall',
        'tree',
    ),
    'transports.amqp': ('NotConfirmed',),
    'ui.app': ('create_app',),
    'utils': ('extract_followups',),
}
_MODULES = {name: module for module, names in _NAMES_BY_MODULE.items() for name in names}


if not TYPE_CHECKING:
    # A type checker that saw this function would believe that the package has every name.
    def __getattr__(name: str) -> Any:
        if name not in _MODULES:
            raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
        from importlib import import_module

        value = globals()[name] = getattr(import_module(f'.{_MODULES[name]}', __name__), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
