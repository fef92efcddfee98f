"""A laptop skips the tests that need what the machine lacks, and says so once; CI fails them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import pytest

from rig.servers.programs import MissingError

#: The name of a report's property.
NEEDS = 'needs'
#: The variable by which `./runtests` names the file that it reads the summary from.
SUMMARY = 'NOT_TESTED'


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    return (yield from skipping(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    return (yield from skipping(item))


def skipping(item: pytest.Item) -> Generator[None, None, None]:
    try:
        return (yield)
    except MissingError as error:
        if os.environ.get('CI') == 'true':
            raise
        item.user_properties.append((NEEDS, str(error)))
        pytest.skip(f'needs {error}')


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    needed = Counter(
        value
        for report in terminalreporter.stats.get('skipped', [])
        for name, value in report.user_properties
        if name == NEEDS
    )
    lines = [f'{count} {"test needs" if count == 1 else "tests need"} {what}' for what, count in sorted(needed.items())]
    if SUMMARY in os.environ:
        Path(os.environ[SUMMARY]).write_text(''.join(f'{line}\n' for line in lines))
    elif lines:
        terminalreporter.section('Not tested here')
        terminalreporter.write('\n'.join([*lines, '']))
