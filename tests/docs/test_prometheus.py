"""The commands of the how-to on Prometheus."""

from __future__ import annotations

import shlex

from cadasta.workertoolbox.commands import toolbox

from .manual import Manual

(PAGE,) = PAGES = ['howto/prometheus']


def test_commands(manual: Manual) -> None:
    """Tests of the monitor and of the page run the same, on ports of their own."""
    commands = [shlex.split(command) for block in manual.blocks(PAGE, 'console') for command, _ in block.commands]
    assert [command[:5] for command in commands] == [
        ['celery', '-A', 'export', 'toolbox', 'monitor'],
        ['celery', '-A', 'export', 'toolbox', 'ui'],
    ]
    for *_, command, arguments in ((*words[:5], words[5:]) for words in commands):
        assert toolbox.commands[command].make_context(command, arguments)
