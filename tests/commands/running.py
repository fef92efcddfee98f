"""Run `celery toolbox ...` in this process, or on a terminal."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress

from celery import Celery
from celery.bin.base import CLIContext
from click.testing import CliRunner, Result

from cadasta.workertoolbox.commands import toolbox


def run(app: Celery, *arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(toolbox, arguments, obj=CLIContext(app, no_color=False, workdir=None), env=environment)


def on_terminal(argv: Sequence[str], environment: Mapping[str, str]) -> str:
    """Run a program whose output goes to a terminal; returns what a person sees there."""
    ours, theirs = pty.openpty()
    with os.fdopen(ours, 'rb', buffering=0) as terminal:
        process = subprocess.Popen(argv, stdout=theirs, stderr=theirs, stdin=theirs, env=dict(environment))
        os.close(theirs)
        output = b''
        # Linux answers with an error when the last process has closed the other side.
        with suppress(OSError):
            while chunk := terminal.read(65536):
                output += chunk
        process.wait(60)
    return output.decode()


def seen(output: str) -> list[str]:
    """The lines of a terminal, without colours, their words one space apart."""
    return [' '.join(line.split()) for line in re.sub(r'\x1b\[[0-9;]*m', '', output).splitlines()]
