"""The clock of a monitor decides nothing: a row that seems to be of 1970 would be pruned at once."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from rig.monitor.databases import TaskDatabase
from rig.monitor.programs import Toolbox
from rig.servers.broker import Broker
from rig.servers.process import Processes

from .test_streams import make_app

# Python imports this module before all others.
CLOCK = """
import datetime
import time

time.time, time.time_ns = float, int
real = datetime.datetime


class Kind(type):
    def __instancecheck__(cls, value):
        return isinstance(value, real)


class Early(real, metaclass=Kind):
    @classmethod
    def now(cls, tz=None):
        return real.fromtimestamp(0, tz)


datetime.datetime = Early
"""


@pytest.mark.parametrize('broker', ['filesystem'], indirect=True)
def test_a_monitor_in_1970(broker: Broker, tasks: TaskDatabase, tmp_path: Path, processes: Processes) -> None:
    make_app(broker).send_task('export.project', (1,))
    toolbox = Toolbox(tmp_path, processes, broker, tasks.url)
    (tmp_path / 'sitecustomize.py').write_text(CLOCK)
    before = datetime.now(UTC).replace(microsecond=0)
    monitor = toolbox.start('monitor', '--once')
    assert monitor.wait() == 0, monitor.log
    assert '1970-01-01' in monitor.log
    (row,) = tasks.tasks().values()
    assert before <= row['first_seen'] <= row['last_seen'] <= datetime.now(UTC)
