"""The commands ``celery toolbox …``."""

import click

from .check import check
from .monitor import monitor
from .tables import tables
from .topology import topology


@click.group()
def toolbox() -> None:
    """Run the platform's side of the Cadasta Worker Toolbox."""


toolbox.add_command(check)
toolbox.add_command(monitor)
toolbox.add_command(tables)
toolbox.add_command(topology)
