"""Starts the parts of the example: tables, a producer, a worker for each service, the task monitor, the page."""

import os
import re
import sys
import webbrowser
from collections.abc import Collection, Iterable
from pathlib import Path

from .processes import Process, QuickstartError, Signals, end

EXAMPLES = Path(__file__).parents[1]
#: The codebase whose worker serves each work queue.
SERVICES = {'export': 'export_worker', 'msg': 'msg_worker'}
PRODUCER_SECONDS = 60
READY_SECONDS = 60
PAGE_SECONDS = 30
#: `toolbox lost` asks the broker twice, and may wait for the monitor.
COMMAND_SECONDS = 120

_CELERY = [sys.executable, '-m', 'celery']
_TOOLBOX = [*_CELERY, '-A', 'export_worker', 'toolbox']
_SCHEDULED = re.compile(r'^(\w+) ([0-9a-f-]{36})$', re.MULTILINE)
_URL = re.compile(r'http://\S+')
_READY = re.compile(r'ready\.$|Ready: ', re.MULTILINE)


class Services:
    """Starts the processes of the example.

    :param signals: what ends the quickstart meanwhile
    :param directory: where the processes keep their logs
    """

    def __init__(self, signals: Signals, directory: Path) -> None:
        self._signals = signals
        self._directory = directory
        self._started: list[Process] = []

    def end(self) -> None:
        """End all that was started."""
        end(self._started)

    def make_tables(self) -> None:
        """Make the tables in the result database."""
        tables = self._start('tables', [*_TOOLBOX, 'tables'])
        if tables.popen.wait() != 0:
            raise QuickstartError(
                f'The tables could not be made in the result database. It says:\n{tables.last_words()}'
            )

    def produce(self, program: str, workflows: Collection[str]) -> dict[str, str]:
        """Schedule workflows.

        :param program: the program that does so
        :param workflows: the names that it gives them
        :returns: the id of a task of each workflow, by its name
        """
        producer = self._start('producer', [sys.executable, program])
        self._signals.wait_until(lambda: producer.ended, PRODUCER_SECONDS)
        scheduled = dict(_SCHEDULED.findall(producer.output()))
        if scheduled.keys() != set(workflows):
            raise QuickstartError(f'The producer could not schedule every workflow. It says:\n{producer.last_words()}')
        return scheduled

    def start_workers(self) -> dict[str, Process]:
        """Start a worker for each work queue."""
        return {queue: self.start_worker(queue, queue) for queue in SERVICES}

    def start_worker(self, queue: str, name: str) -> Process:
        """Start a worker.

        :param queue: the work queue that it serves
        :param name: a name that no other worker has
        """
        arguments = ['-A', SERVICES[queue], 'worker', '--queues', queue, '--pool', 'prefork', '--concurrency', '2']
        arguments += ['--hostname', f'{name}@quickstart-{os.getpid()}', '--loglevel', 'INFO']
        arguments += ['--without-gossip', '--without-mingle']
        # A worker that ends writes the messages that it cannot give back to the broker into a temporary file.
        return self._start(name, [*_CELERY, *arguments], TMPDIR=str(self._directory))

    def start_monitor(self) -> Process:
        """Start the task monitor."""
        return self._start('monitor', [*_TOOLBOX, 'monitor'])

    def wait_until_at_work(self, processes: Iterable[Process]) -> None:
        """Wait until processes have started. The time limit of the workflows begins after that."""
        processes = list(processes)
        self._signals.wait_until(
            lambda: (
                any(process.ended for process in processes)
                or all(_READY.search(process.output()) for process in processes)
            ),
            READY_SECONDS,
        )

    def start_page(self) -> tuple[Process, str]:
        """Start the page, and show it in a browser where there is one.

        :returns: its process and its URL
        """
        page = self._start('page', [*_TOOLBOX, 'ui', '--port', '0', '--show-arguments'])
        self._signals.wait_until(lambda: page.ended or _URL.search(page.output()), PAGE_SECONDS)
        url = _URL.search(page.output())
        if page.ended or not url:
            raise QuickstartError(f'The page did not start. It says:\n{page.last_words()}')
        if sys.platform == 'darwin' or 'DISPLAY' in os.environ or 'WAYLAND_DISPLAY' in os.environ:
            webbrowser.open(url[0])
        return page, url[0]

    def toolbox(self, *arguments: str) -> tuple[int, str]:
        """Run a command of the toolbox.

        :param arguments: the command and its options
        :returns: its exit code, and what it has printed
        """
        command = self._start(arguments[0], [*_TOOLBOX, *arguments])
        if not self._signals.wait_until(lambda: command.ended, COMMAND_SECONDS):
            raise QuickstartError(f'toolbox {" ".join(arguments)} does not end. It says:\n{command.last_words()}')
        return command.popen.wait(), command.output()

    def _start(self, name: str, command: list[str], **environment: str) -> Process:
        log = self._directory / f'{name}.log'
        process = Process(command, log, cwd=EXAMPLES, env={**os.environ, **environment})
        self._started.append(process)
        return process
