"""The monitor logs where its app has set up logging, at the level that its option gives."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cadasta.workertoolbox import upgrade
from rig.monitor.programs import Toolbox
from rig.servers.broker import Broker
from rig.servers.process import Processes

APP = """
import logging
import logging.config

from cadasta.workertoolbox import Config, Monitor
from celery import Celery, signals

app = Celery('project')
app.config_from_object(Config(QUEUES=['export'], broker_url='memory://'))
"""
BASIC = "logging.basicConfig(format='APP %(levelname)s %(message)s')\n"
#: Disables the loggers of all modules that were imported before, the monitor's among them.
DICT = """
logging.config.dictConfig({
    'version': 1,
    'formatters': {'app': {'format': 'APP %(levelname)s %(message)s'}},
    'handlers': {'app': {'class': 'logging.StreamHandler', 'formatter': 'app'}},
    'root': {'level': 'WARNING', 'handlers': ['app']},
})
"""
SIGNAL = """
@signals.setup_logging.connect
def set_up(loglevel, logfile, format, colorize, **kwargs):
    assert (logfile, colorize) == (None, False) and '%(message)s' in format
    logging.basicConfig(level=loglevel, format='APP %(levelname)s %(message)s')
"""
#: Keeps Celery from setting up logging, as many projects do.
NOTHING = """
@signals.setup_logging.connect
def set_up(**kwargs): ...
"""
REFUSING = """
@signals.setup_logging.connect
def set_up(**kwargs):
    raise LookupError('no such handler')
"""
ERRORS_ONLY = f"{BASIC}logging.getLogger('cadasta.workertoolbox').setLevel('ERROR')\n"
READY = r'Ready: storing what the platform queue holds\n'


class Starter:
    def __init__(self, directory: Path, processes: Processes) -> None:
        self.directory = directory
        upgrade(f'sqlite:///{directory}/tasks.db')
        database = f'sqlite:///{directory}/tasks.db'
        self.toolbox = Toolbox(directory, processes, Broker('memory', 'memory://', {}), database)

    def log(self, code: str, *options: str, exit_code: int = 0, **environment: str) -> str:
        """The log of a monitor whose app has this code."""
        (self.directory / 'project.py').write_text(APP + code)
        process = self.toolbox.start('monitor', '--once', *options, **environment)
        assert process.wait() == exit_code, process.log
        return process.log


@pytest.fixture
def monitor(tmp_path: Path, processes: Processes) -> Starter:
    return Starter(tmp_path, processes)


@pytest.mark.parametrize('code', [BASIC, DICT, SIGNAL], ids=['basicConfig', 'dictConfig', 'signal'])
def test_it_logs_as_its_app_has_set_up(monitor: Starter, code: str) -> None:
    assert re.fullmatch(f'APP INFO {READY}', monitor.log(code))
    assert monitor.log(code, '-l', 'ERROR') == ''
    # Others may log, too, at a level that the signal gives.
    assert re.search(f'^APP INFO {READY}', monitor.log(code, TOOLBOX_LOGLEVEL='DEBUG'), re.MULTILINE)


@pytest.mark.parametrize('code', ['', NOTHING], ids=['nothing', 'signal'])
def test_it_logs_where_nobody_has_set_up_anything(monitor: Starter, code: str) -> None:
    assert re.fullmatch(rf'\[20[-0-9:, ]+: INFO\] {READY}', monitor.log(code))
    assert monitor.log(code, '-l', 'ERROR') == ''


def test_the_apps_own_level_holds_unless_the_option_is_given(monitor: Starter) -> None:
    assert monitor.log(ERRORS_ONLY) == ''
    assert re.fullmatch(f'APP INFO {READY}', monitor.log(ERRORS_ONLY, '--loglevel', 'INFO'))


def test_a_receiver_that_fails_ends_it(monitor: Starter) -> None:
    assert 'LookupError: no such handler' in monitor.log(REFUSING, exit_code=1)
