"""The commands ``celery toolbox …``."""

import click

from .cancel import cancel
from .check import check
from .failures import failures
from .lost import lost
from .monitor import monitor
from .prune import prune
from .rejected import rejected
from .relay import relay
from .resend import resend
from .stats import stats
from .tables import tables
from .tasks import tasks
from .topology import topology
from .ui import ui
from .workers import workers


@click.group()
def toolbox() -> None:
    """Run the platform's side of the Cadasta Worker Toolbox."""


_COMMANDS = (
    cancel,
    check,
    failures,
    lost,
    monitor,
    prune,
    rejected,
    relay,
    resend,
    stats,
    tables,
    tasks,
    topology,
    ui,
    workers,
)
for command in _COMMANDS:
    toolbox.add_command(command)
