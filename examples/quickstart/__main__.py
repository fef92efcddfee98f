"""Runs the quickstart step by step: servers, tables, producer, workers, monitor, verdict."""

import argparse
import os
import sys
import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy
from celery import Celery
from kombu import Connection

from cadasta.workertoolbox.tracked import TrackedTasks, overall, tree

from . import brokers, servers
from .breaking import Break, break_and_mend
from .keeping import keep
from .observation import Observation, depths
from .processes import Interrupted, Process, QuickstartError, Signals, end
from .report import Report
from .services import Services
from .verdict import TITLES, is_complete, problems

DRAIN_SECONDS = 15


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
    parser.add_argument(
        '--break',
        dest='is_breaking',
        action='store_true',
        help='instead, kill a worker in the middle of a workflow, find the task that is lost, and send it again; it '
        'takes about three minutes',
    )
    options = parser.parse_args(arguments)
    if options.is_breaking and 'CELERY_BROKER_URL' in os.environ:
        parser.error('--break kills a worker on the broker that it brings along: unset CELERY_BROKER_URL')
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
    services = Services(signals, directory)
    services.make_tables()
    if 'CELERY_BROKER_URL' in os.environ:
        stack.enter_context(brokers.borrowed(app))
    stack.callback(services.end)
    connection = stack.enter_context(brokers.reader(app))
    tracked = stack.enter_context(TrackedTasks(app.conf.result_backend))

    if options.is_breaking:
        broken = Break(app, connection, tracked, services, signals, report)
        return break_and_mend(broken, options.timeout, options.keep)
    scheduled = services.produce('producer.py', TITLES)
    report.step(f'Producer: {len(scheduled)} workflows scheduled. Nothing else has used the broker so far.')
    report.step(f'Messages, as the broker counts them: {_listed(depths(app, connection))}')

    workers = services.start_workers()
    report.step(f'Workers: started, with the prefork pool, one for each of the queues {" and ".join(workers)}')
    monitor = services.start_monitor()
    report.step(f'Task monitor: started. It drains {app.conf.PLATFORM_QUEUE_NAME}')
    services.wait_until_at_work([*workers.values(), monitor])
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
        page, url = services.start_page()
        keep(signals, report, page, url)
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


def _listed(depths: Mapping[str, int]) -> str:
    return ', '.join(f'{name} {count}' for name, count in depths.items())


if __name__ == '__main__':
    sys.exit(main())
