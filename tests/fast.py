"""`pytest --fast` selects the tests that start no process and no server, and fails one that does so all the same.

It leaves out the ones that try hundreds of examples, too.
"""

from __future__ import annotations

import sys
from collections.abc import Generator

import pytest

#: Fixtures that start a process or a server, or judge hundreds of apps.
SLOW_FIXTURES = {
    *('alone', 'manual', 'postgres', 'processes', 'rabbitmq_server', 'redis_server', 'silence', 'sqs_server'),
    'together',
}
#: Parameters of fixtures that do so for some of their parameters only.
SERVED = ('amqp', 'postgresql', 'redis', 'sqs')
MARKERS = ('hypothesis', 'long', 'packaging', 'process', 'slow')
#: Python tells an audit hook of these.
FORBIDDEN = {'os.exec', 'os.fork', 'os.forkpty', 'os.posix_spawn', 'os.system', 'socket.bind', 'subprocess.Popen'}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption('--fast', action='store_true', help='run only the tests that start no process and no server')


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption('fast'):
        sys.addaudithook(Guard.look)


# After Hypothesis, which marks its own tests here.
@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption('fast'):
        config.hook.pytest_deselected(items=[item for item in items if is_left_out(item)])
        items[:] = [item for item in items if not is_left_out(item)]


def is_left_out(item: pytest.Item) -> bool:
    parameters = item.callspec.params if hasattr(item, 'callspec') else {}
    return (
        not SLOW_FIXTURES.isdisjoint(getattr(item, 'fixturenames', ()))
        or any(parameters.get(fixture) in SERVED for fixture in ('broker', 'tasks', 'url'))
        or any(item.get_closest_marker(marker) for marker in MARKERS)
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    Guard.is_on = item.config.getoption('fast')
    try:
        return (yield)
    finally:
        Guard.is_on = False


class Guard:
    """Refuses what starts a process or a server while a fast test runs."""

    is_on = False

    @classmethod
    def look(cls, event: str, arguments: tuple[object, ...]) -> None:
        if cls.is_on and event in FORBIDDEN:
            raise AssertionError(f'{event}: mark this test with `process`, so that --fast leaves it out')
