"""The commands ``celery toolbox …``."""

import click

from .cancel import cancel
from .check import check
from .monitor import monitor
from .tables import tables
from .tasks import tasks
from .topology import topology
from .ui import ui


@click.group()
def toolbox() -> None:
    """Run the platform's side of the Cadasta Worker Toolbox."""


for command in (cancel, check, monitor, tables, tasks, topology, ui):
    toolbox.add_command(command)
