"""Runs the quickstart step by step: servers, tables, producer, workers, monitor, verdict."""

import argparse
import math
import os
import re
import sys
import uuid
import webbrowser
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy
from celery import Celery
from kombu import Connection

from cadasta.workertoolbox.tracked import TrackedTasks, overall, tree

from . import brokers, servers
from .observation import Observation, depths
from .processes import Interrupted, Process, QuickstartError, Signals, end
from .report import Report
from .verdict import TITLES, is_complete, problems

EXAMPLES = Path(__file__).parents[1]
#: The codebase whose worker serves each work queue.
SERVICES = {'export': 'export_worker', 'msg': 'msg_worker'}
TOOLBOX = [sys.executable, '-m', 'celery', '-A', 'export_worker', 'toolbox']
PRODUCER_SECONDS = 60
READY_SECONDS = 60
DRAIN_SECONDS = 15
PAGE_SECONDS = 30

_SCHEDULED = re.compile(r'^(\w+) ([0-9a-f-]{36})$', re.MULTILINE)
_URL = re.compile(r'http://\S+')
_READY = re.compile(r'ready\.$|Ready: ', re.MULTILINE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the example's workflows and show what became of them.

    :returns: the exit code: 0 if all was as it must be, 1 if not, 2 if the quickstart could not run
    """
    parser = argparse.ArgumentParser(
        prog='./quickstart',
        description='Run the example workers on Amazon SQS (played by moto) and PostgreSQL, schedule their workflows, '
        'and show what became of each task. With CELERY_BROKER_URL, or RESULT_DB_HOST, _PORT, _NAME, '
        '_USER and _PASS, in the environment, use that broker or database instead.',
    )
    parser.add_argument(
        '--timeout',
        type=float,
        default=60,
        metavar='SECONDS',
        help='how long the workflows may take (default: %(default)g)',
    )
    parser.add_argument(
        '--keep', action='store_true', help='leave all of it running, with a page to look at, until Ctrl-C'
    )
    options = parser.parse_args(arguments)
    signals, report = Signals(), Report()
    try:
        with ExitStack() as stack:
            return _run(stack, signals, report, options)
    except QuickstartError as error:
        report.verdict(False, f'FAILED: {error}')
        return 2
    except sqlalchemy.exc.DBAPIError as error:
        report.verdict(False, f'FAILED: the result database cannot be used: {error.orig}')
        return 2
    except BrokenPipeError:
        # The reader of the pipe has gone. Python would report that again when it flushes the output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Interrupted as interrupted:
        report.verdict(False, 'INTERRUPTED: no verdict. All that was started has ended.')
        return 128 + interrupted.number


def _run(stack: ExitStack, signals: Signals, report: Report, options: argparse.Namespace) -> int:
    # Root's own directory for temporary files may be closed to the user that PostgreSQL runs as.
    parent = '/tmp' if os.geteuid() == 0 else None
    directory = Path(stack.enter_context(TemporaryDirectory(prefix='quickstart-', dir=parent)))
    _use_broker(stack, report)
    _use_database(stack, report, signals, directory)
    app = _app()
    _make_tables(directory)
    if 'CELERY_BROKER_URL' in os.environ:
        stack.enter_context(brokers.borrowed(app))
    connection = stack.enter_context(brokers.reader(app))
    tracked = stack.enter_context(TrackedTasks(app.conf.result_backend))

    scheduled = _produce(stack, signals, directory)
    report.step(f'Producer: {len(scheduled)} workflows scheduled. Nothing else has used the broker so far.')
    report.step(f'Messages, as the broker counts them: {_listed(depths(app, connection))}')

    workers = _start_workers(stack, directory)
    report.step(f'Workers: started, with the prefork pool, one for each of the queues {" and ".join(workers)}')
    monitor = _start_monitor(stack, directory)
    report.step(f'Task monitor: started. It drains {app.conf.PLATFORM_QUEUE_NAME}')
    _wait_until_at_work(signals, [*workers.values(), monitor])
    observation = Observation(tracked, workers, scheduled)
    _watch(signals, report, observation, options.timeout)
    if not options.keep:
        end(workers.values())
    _wait_until_drained(signals, app, connection, monitor)
    if options.keep:
        _wait_until_stored(signals, observation, monitor)
    else:
        end([monitor])
    observation.look()
    report.step(f'Messages, as the broker counts them now: {_listed(depths(app, connection))}')
    code = _judge(
        report,
        observation,
        app.conf.PLATFORM_QUEUE_NAME,
        {'monitor': monitor, **{f'worker of {queue}': worker for queue, worker in workers.items()}},
    )
    if options.keep:
        _keep(stack, signals, report, directory)
    return code


def _use_broker(stack: ExitStack, report: Report) -> None:
    if url := os.environ.get('CELERY_BROKER_URL'):
        os.environ.update(brokers.environment(url, f'quickstart-{uuid.uuid4().hex[:8]}'))
        report.step('Broker: the one that CELERY_BROKER_URL names')
        return
    for name in [name for name in os.environ if name.startswith('AWS_')]:
        del os.environ[name]
    os.environ.update(stack.enter_context(servers.sqs()))
    report.step(f'Broker: Amazon SQS, played by moto, at {os.environ["AWS_ENDPOINT_URL_SQS"]}')


def _use_database(stack: ExitStack, report: Report, signals: Signals, directory: Path) -> None:
    if any(name.startswith('RESULT_DB_') or name == 'CELERY_RESULT_BACKEND' for name in os.environ):
        report.step('Result database: the one that RESULT_DB_* names')
        return
    os.environ.update(stack.enter_context(servers.postgresql(directory, signals)))
    report.step(f'Result database: PostgreSQL at {os.environ["RESULT_DB_HOST"]}:{os.environ["RESULT_DB_PORT"]}')


def _app() -> Celery:
    """Import the app of a service. Its configuration reads the environment, which must be complete by then."""
    try:
        app: Celery = import_module('export_worker.celery').app
    except ValueError as error:
        raise QuickstartError(str(error)) from error
    return app


def _make_tables(directory: Path) -> None:
    tables = Process([*TOOLBOX, 'tables'], directory / 'tables.log', cwd=EXAMPLES)
    if tables.popen.wait() != 0:
        raise QuickstartError(f'The tables could not be made in the result database. It says:\n{tables.last_words()}')


def _produce(stack: ExitStack, signals: Signals, directory: Path) -> dict[str, str]:
    producer = Process([sys.executable, 'producer.py'], directory / 'producer.log', cwd=EXAMPLES)
    stack.callback(end, [producer])
    signals.wait_until(lambda: producer.ended, PRODUCER_SECONDS)
    scheduled = dict(_SCHEDULED.findall(producer.output()))
    if scheduled.keys() != TITLES.keys():
        raise QuickstartError(f'The producer could not schedule every workflow. It says:\n{producer.last_words()}')
    return scheduled


def _start_workers(stack: ExitStack, directory: Path) -> dict[str, Process]:
    workers: dict[str, Process] = {}
    # A worker that ends writes the messages that it cannot give back to the broker into a temporary file.
    environment = {**os.environ, 'TMPDIR': str(directory)}
    stack.callback(lambda: end(workers.values()))
    for queue, service in SERVICES.items():
        workers[queue] = Process(
            [
                sys.executable,
                '-m',
                'celery',
                '-A',
                service,
                'worker',
                '--queues',
                queue,
                '--pool',
                'prefork',
                '--concurrency',
                '2',
                '--hostname',
                f'{queue}@quickstart-{os.getpid()}',
                '--loglevel',
                'INFO',
                '--without-gossip',
                '--without-mingle',
            ],
            directory / f'{queue}.log',
            cwd=EXAMPLES,
            env=environment,
        )
    return workers


def _start_monitor(stack: ExitStack, directory: Path) -> Process:
    monitor = Process([*TOOLBOX, 'monitor'], directory / 'monitor.log', cwd=EXAMPLES)
    stack.callback(end, [monitor])
    return monitor


def _wait_until_at_work(signals: Signals, processes: Sequence[Process]) -> None:
    """Wait until processes have started. The time limit of the workflows begins after that."""
    signals.wait_until(
        lambda: (
            any(process.ended for process in processes) or all(_READY.search(process.output()) for process in processes)
        ),
        READY_SECONDS,
    )


def _watch(signals: Signals, report: Report, observation: Observation, timeout: float) -> None:
    def is_over() -> bool:
        observation.look()
        report.status(
            f'{sum(task.is_tracked for task in observation.tasks)} tasks tracked, '
            f'{sum(task.is_done for task in observation.tasks)} results stored'
        )
        return any(worker.ended for worker in observation.workers.values()) or all(
            is_complete(name, tasks) for name, tasks in observation.workflows.items()
        )

    signals.wait_until(is_over, timeout)


def _wait_until_drained(signals: Signals, app: Celery, connection: Connection, monitor: Process) -> None:
    signals.wait_until(
        lambda: monitor.ended or not depths(app, connection)[app.conf.PLATFORM_QUEUE_NAME], DRAIN_SECONDS
    )


def _wait_until_stored(signals: Signals, observation: Observation, monitor: Process) -> None:
    """Wait for the batch that the monitor has received and not stored yet: it counts as drained."""

    def is_stored() -> bool:
        observation.look()
        return monitor.ended or not list(problems(observation.workflows, observation.others))

    signals.wait_until(is_stored, DRAIN_SECONDS)


def _judge(report: Report, observation: Observation, platform: str, processes: Mapping[str, Process]) -> int:
    titled = {TITLES[name]: tasks for name, tasks in observation.workflows.items()}
    others = {'Part of none of these': observation.others} if observation.others else {}
    report.table({**titled, **others}, platform)
    report.line('')
    report.line(f'Queues reached: the task monitor has stored each message that {platform} held. Each work queue has')
    report.line('one worker, which logs each message that it receives. States and results come from the table')
    report.line("celery_taskmeta. Celery stores no result for tasks of its own (celery.*): their state is '-'.")
    report.line('')
    report.line('The workflows, as `celery -A export_worker toolbox tasks --tree ID` draws them on a terminal:')
    for name, task_id in observation.scheduled.items():
        tasks = observation.tracked.workflow(task_id)
        report.tree(TITLES[name], overall(tasks), tree(tasks))
    found = list(problems(observation.workflows, observation.others))
    if not found:
        report.verdict(
            True,
            f'OK: all {len(observation.tasks)} tasks of {len(titled)} workflows were tracked and ran, '
            'and every result is stored.',
        )
        return 0
    for name, process in processes.items():
        report.line(f'\nThe last words of the {name}:\n{process.last_words()}')
    report.line('')
    for problem in found:
        report.line(f'- {problem}')
    report.verdict(False, f'FAILED: {len(found)} things are not as they must be, see above.')
    return 1


def _keep(stack: ExitStack, signals: Signals, report: Report, directory: Path) -> None:
    page = Process([*TOOLBOX, 'ui', '--port', '0', '--show-arguments'], directory / 'page.log', cwd=EXAMPLES)
    stack.callback(end, [page])
    signals.wait_until(lambda: page.ended or _URL.search(page.output()), PAGE_SECONDS)
    url = _URL.search(page.output())
    if page.ended or not url:
        raise QuickstartError(f'The page did not start. It says:\n{page.last_words()}')
    report.line(f'\nEverything keeps running. Look at it: {url[0]}   Press Ctrl-C to end it.')
    if sys.platform == 'darwin' or 'DISPLAY' in os.environ or 'WAYLAND_DISPLAY' in os.environ:
        webbrowser.open(url[0])
    with suppress(Interrupted):
        signals.wait_until(lambda: page.ended, math.inf)
    report.line('')


def _listed(depths: Mapping[str, int]) -> str:
    return ', '.join(f'{name} {count}' for name, count in depths.items())


if __name__ == '__main__':
    sys.exit(main())
