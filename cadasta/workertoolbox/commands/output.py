"""Where a command writes to."""

import io
import sys
from typing import cast

from celery.bin.base import CLIContext
from rich.console import Console


def console_of(context: CLIContext) -> Console:
    """Make a console of the standard output.

    :param context: what Celery's command line was told; ``--no-color`` counts.
    :returns: the console. Characters that its encoding does not have are written as escapes.
    """
    cast(io.TextIOWrapper, sys.stdout).reconfigure(errors='backslashreplace')
    return Console(no_color=context.no_color or None, highlight=False)
