"""Tests that every worker runs in its own test suite to prove that it keeps the rules of the architecture."""

import sys
import unittest
from collections.abc import Collection

from celery import Celery

from .architecture import PLATFORM_QUEUE
from .conformance.suite import Place, make_suite


def build_functional_tests(
    app: Celery,
    is_worker: bool = True,
    platform_queue: str = PLATFORM_QUEUE,
    called_with_queue: str | Collection[str] = (),
) -> type[unittest.TestCase]:
    """Make a test case that fails if an app breaks one of the architecture's rules.

    The test case observes the app at work. It publishes the app's tasks to a broker in memory, by the app's own routers
    and options, and it initialises a worker, up to the point where that would consume. It needs no broker and no
    database, and it leaves the app as it was. What is no failure, but worth knowing, is a warning:
    `cadasta.workertoolbox.ConformanceNote`.

    :param app: the app. The test case imports its task modules.
    :param is_worker: whether workers are started from this codebase. Give ``False`` for a codebase that only sends
        tasks: the test case initialises no worker then.
    :param platform_queue: the name of the platform queue. Give it if your organisation has renamed that queue in every
        worker and on the platform. The apps set ``PLATFORM_QUEUE_NAME`` to the same name.
    :param called_with_queue: the names of tasks whose every call names a queue, as in
        ``task.apply_async(queue='export')``: a pattern or several, such as ``'process-*'``. No queue has to serve the
        names of these tasks.
    :returns: a `unittest.TestCase`. Assign it to a name in a module of tests: `unittest`, pytest and Django's test
        runner find it there.

    >>> from cadasta.workertoolbox.conf import Config
    >>> app = Celery('export')
    >>> app.config_from_object(Config(QUEUES=['export', 'msg']))
    >>> @app.task(name='export.project')
    ... def project(id): ...
    >>> FunctionalTests = build_functional_tests(app)
    >>> unittest.defaultTestLoader.loadTestsFromTestCase(FunctionalTests).run(unittest.TestResult()).wasSuccessful()
    True
    """
    caller = sys._getframe(1)
    place = Place(caller.f_globals['__name__'], caller.f_code.co_filename, caller.f_lineno)
    patterns = [called_with_queue] if isinstance(called_with_queue, str) else list(called_with_queue)
    return make_suite(app, is_worker, platform_queue, patterns, place)
