"""Kills a worker in the middle of a workflow, and mends that by the toolbox's own commands."""

import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from select import select
from urllib.request import urlopen

from celery import Celery, states
from kombu import Connection

from cadasta.workertoolbox.mending.held import WorkQueues
from cadasta.workertoolbox.tracked import TrackedTask, TrackedTasks, overall, tree

from .keeping import keep
from .processes import Process, QuickstartError, Signals, end
from .report import Report
from .services import Services
from .verdict import FLIGHT, Mended, not_mended

WORKFLOW = 'flight'
#: The task during which the worker is killed, and its work queue.
TASK, QUEUE = 'export.film', 'export'
START_SECONDS = 60
#: A worker vouches for a task for a minute, and a minute after that the task is lost. A busy machine is late.
LOST_SECONDS = 240


@dataclass(frozen=True)
class Break:
    """What a break is made of.

    :param app: the app that schedules the workflow
    :param connection: a connection to the broker
    :param tracked: the result database
    :param services: what starts workers, monitor and page
    :param signals: what ends the quickstart meanwhile
    :param report: what shows how far it is
    """

    app: Celery
    connection: Connection
    tracked: TrackedTasks
    services: Services
    signals: Signals
    report: Report


def break_and_mend(broken: Break, timeout: float, is_kept: bool) -> int:
    """Kill a worker, show that its task is lost, send the task again, and say whether all is well.

    :param timeout: how long the workflow may take when its task was sent again, in seconds
    :param is_kept: whether the page shows it, too, and all is left running
    :returns: the exit code: 0 if the task was lost and is mended, 1 if not
    """
    services, report = broken.services, broken.report
    workers, monitor = services.start_workers(), services.start_monitor()
    services.wait_until_at_work([*workers.values(), monitor])
    report.step(f'Workers: started, one for each of the queues {" and ".join(workers)}; and the task monitor')
    root_id = services.produce('flight.py', [WORKFLOW])[WORKFLOW]
    page, url = services.start_page() if is_kept else (None, '')
    report.step(f'Producer: a workflow scheduled, {" -> ".join(FLIGHT)}')

    task_id = _kill(broken, workers[QUEUE], root_id)
    workers[QUEUE] = services.start_worker(QUEUE, f'{QUEUE}-2')
    services.wait_until_at_work([workers[QUEUE]])
    report.step(f'Worker of {QUEUE}: another one started, as a supervisor does it. It gets no message of the task')
    _wait_until_lost(broken, task_id)
    _draw(broken, 'The workflow, broken', root_id)
    lost = _show(broken, 'lost')
    listed = _listed_as_lost(broken, url) if is_kept else None
    resent = _show(broken, 'resend', '--lost', '--yes')
    broken.signals.wait_until(lambda: _is_done(broken, root_id), timeout)
    _draw(broken, 'The workflow, mended', root_id)
    lost_after = _show(broken, 'lost')
    code = _judge(report, Mended(task_id, lost, listed, resent, broken.tracked.workflow(root_id), lost_after))
    if page:
        keep(broken.signals, report, page, url)
    else:
        end([*workers.values(), monitor])
    return code


def _kill(broken: Break, worker: Process, root_id: str) -> str:
    """Kill a worker with all its processes, as soon as it runs the task and has acknowledged its message.

    :returns: the id of the task
    """
    queues = WorkQueues(broken.app, broken.connection)
    found: list[TrackedTask] = []

    def is_running() -> bool:
        tasks = broken.tracked.workflow(root_id)
        found[:] = [task for task in tasks if task.name == TASK and task.status == states.STARTED]
        # The broker would deliver a message again that is not acknowledged.
        return bool(found) and queues.look([QUEUE], True)[QUEUE].messages == 0

    if not broken.signals.wait_until(is_running, START_SECONDS):
        raise QuickstartError(f'No worker runs {TASK}. The worker says:\n{worker.last_words()}')
    os.killpg(worker.popen.pid, signal.SIGKILL)
    worker.popen.wait()
    task_id = found[0].task_id
    broken.report.step(f'Worker of {QUEUE}: killed (SIGKILL) while it runs {TASK} {task_id}')
    return task_id


def _wait_until_lost(broken: Break, task_id: str) -> None:
    broken.report.step('Nobody vouches for the task any more. After two minutes, that proves that it is lost')

    def is_lost() -> bool:
        task = broken.tracked.get(task_id)
        broken.report.status(f'{TASK} is {task.standing if task else "unknown"}')
        return task is not None and task.standing == 'lost'

    broken.signals.wait_until(is_lost, LOST_SECONDS)


def _listed_as_lost(broken: Break, url: str) -> str:
    """Read the page that lists what is lost. Somebody at a terminal may look at it, too."""
    lost = f'{url}tasks?standing=lost'
    broken.report.line(f'\nThe page lists it, too: {lost}')
    if sys.stdin.isatty():
        broken.report.line('Press Enter to send it again.')
        broken.signals.wait_until(lambda: select([sys.stdin], [], [], 0)[0], float('inf'))
        sys.stdin.readline()
    with urlopen(lost) as page:
        text: str = page.read().decode()
    return text


def _show(broken: Break, *command: str) -> tuple[int, str]:
    broken.report.line(f'\n$ celery -A export_worker toolbox {" ".join(command)}')
    code, output = broken.services.toolbox(*command)
    for line in output.splitlines():
        broken.report.line(line.replace('\t', '  '))
    return code, output


def _draw(broken: Break, title: str, root_id: str) -> None:
    tasks = broken.tracked.workflow(root_id)
    broken.report.tree(title, overall(tasks), tree(tasks))


def _is_done(broken: Break, root_id: str) -> bool:
    tasks: Sequence[TrackedTask] = broken.tracked.workflow(root_id)
    broken.report.status(f'{sum(task.is_done for task in tasks)} of {len(FLIGHT)} tasks have ended')
    return sum(task.is_done for task in tasks) == len(FLIGHT)


def _judge(report: Report, mended: Mended) -> int:
    problems = list(not_mended(mended))
    if problems:
        report.line('')
        for problem in problems:
            report.line(f'- {problem}')
        report.verdict(False, f'FAILED: {len(problems)} things are not as they must be, see above.')
        return 1
    report.verdict(
        True,
        f'OK: {TASK} was lost with its worker, was shown as lost, and ran when it was sent again. '
        'The workflow is done, and nothing is lost.',
    )
    return 0
