"""Import the task modules of an app, and name the one that is broken."""

import importlib
import traceback

from celery import Celery

from ..errors import TaskModuleError


def load(app: Celery) -> None:
    """Import the task modules of an app and finalize it, as a worker does before anything else.

    :param app: the app.
    :raises TaskModuleError: if Python cannot import a module. The error names the module.
    """
    try:
        app.loader.import_default_modules()
    except Exception as error:
        raise TaskModuleError(
            f'{_module(error)} of app {app.main!r} cannot be imported: {type(error).__name__}: {error}. '
            'No worker of this app would start. Mend the module, or take it out of `include`, `imports` or '
            '`autodiscover_tasks()`.'
        ) from error
    app.finalize()


def _module(error: Exception) -> str:
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code is importlib.import_module.__code__:
            return f'Task module {frame.f_locals["name"]!r}'
    return 'A task module'
