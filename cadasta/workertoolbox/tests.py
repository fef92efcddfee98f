"""The tests that every worker runs in its own test suite, to prove that it keeps the rules of the architecture."""

import sys
import unittest

from celery import Celery

from .architecture import PLATFORM_QUEUE
from .conformance.suite import make_suite


def build_functional_tests(
    app: Celery,
    is_worker: bool = True,
    platform_queue: str = PLATFORM_QUEUE,
) -> type[unittest.TestCase]:
    """Make a test case that fails where an app breaks one of the architecture's rules.

    The app is judged by what it does: its tasks are published to a broker in memory, by its own routers and options,
    and what a worker does before it starts to consume is done. No broker and no database is needed, whatever the app
    uses, and the app is left as it was.

    :param app: the app. Its task modules are imported.
    :param is_worker: whether workers are started from this codebase. ``False`` for one that only sends tasks: no
        worker is made then.
    :param platform_queue: the name of the platform queue. Give it where your organisation has renamed that queue in
        every worker and on the platform: the apps set ``PLATFORM_QUEUE_NAME`` to the same name.
    :returns: a `unittest.TestCase`. Assign it to a name in a module of tests: `unittest`, pytest and Django's test
        runner find it there.

    >>> from cadasta.workertoolbox.conf import Config
    >>> app = Celery('export')
    >>> app.config_from_object(Config(QUEUES=['export', 'msg']))
    >>> FunctionalTests = build_functional_tests(app)
    >>> unittest.defaultTestLoader.loadTestsFromTestCase(FunctionalTests).run(unittest.TestResult()).wasSuccessful()
    True
    """
    return make_suite(app, is_worker, platform_queue, module=sys._getframe(1).f_globals['__name__'])
