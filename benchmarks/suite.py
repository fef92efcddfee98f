"""Time the functional tests of an app with 100 queues and 1,000 tasks, without the imports.

python benchmarks/suite.py [queues] [tasks]
"""

import sys
import time
import unittest
import warnings

from celery import Celery

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.tests import build_functional_tests


def export(project: str, page: int = 1) -> None:
    """Do nothing, in place of a task's work."""


def make_app(queues: int, tasks: int) -> Celery:
    """Make an app whose tasks are spread over its queues."""
    names = [f'queue-{number}' for number in range(queues)]
    app = Celery('benchmark', set_as_current=False)
    app.config_from_object(Config(QUEUES=names))
    for number in range(tasks):
        app.task(export, name=f'{names[number % queues]}.task-{number}', shared=False)
    app.finalize()
    return app


def run(app: Celery) -> tuple[float, float]:
    """Run the functional tests of an app. Give the seconds that they took, and the seconds of CPU time."""
    started, cpu_started = time.perf_counter(), time.process_time()
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(build_functional_tests(app)).run(result)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    if not result.wasSuccessful():
        sys.exit(f'The functional tests failed: {result.errors + result.failures}')
    return seconds, cpu_seconds


if __name__ == '__main__':
    warnings.simplefilter('ignore')
    queues, tasks = [int(argument) for argument in sys.argv[1:]] or [100, 1000]
    run(make_app(2, 2))  # this run makes the late imports
    seconds, cpu_seconds = run(make_app(queues, tasks))
    print(f'{queues} queues, {tasks} tasks: {seconds:.2f} s, of which {cpu_seconds:.2f} s of CPU time')
