"""The workflows of the example, and workflows made of workflows, run by real workers and seen by a real monitor."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from cadasta.workertoolbox.tracked import Node, TrackedTask, TrackedTasks, overall, tree
from rig.monitor.databases import url_of
from rig.monitor.programs import Toolbox
from rig.servers.environment import clean_environment
from rig.servers.postgres import Postgres
from rig.servers.process import Processes, wait_until

from ..conftest import make_broker

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent

#: Each workflow as its task ids' names and states; what a task sent is below it.
EXPECTED = {
    'task': 'parcels+',
    'chain': 'parcels+(table+)',
    'chord': 'chord_unlock+(map+ map+ map+ send+)',
    'errback': 'boundary-(alarm+)',
    'followups': 'everything+(chord_unlock+(map+ map+ archive+(send+)))',
    'retried': 'flaky+',
    'retried_in_a_chain': 'parcels+(parcels+(flaky+(send+)))',
    'replaced': 'parcels+',
    'group': 'map+ map+',
    'group_of_chains': 'parcels+(table+) parcels+(table+)',
    'chord_in_a_chain': 'parcels+(chord_unlock+(map+ map+ archive+(send+)))',
    'chord_of_chains': 'chord_unlock+(parcels+(map+) parcels+(map+) archive+)',
    'chord_with_a_chain': 'chord_unlock+(map+ map+ archive+(send+))',
    'chord_of_a_chord': 'chord_unlock+(chord_unlock+(map+ map+ archive+) map+ archive+)',
    'chord_of_a_group': 'chord_unlock+(map+ map+ map+ archive+)',
    'group_upgraded': 'chord_unlock+(map+ map+ archive+(send+))',
    'failed_chord': 'chord_unlock+(boundary- map+ archive/(alarm+))',
    'failed_chain': 'parcels+(boundary-(table/))',
    'errback_of_a_chain': 'parcels+(boundary-(alarm+))',
}


#: These differ if the monitor stores no arguments, and so no signatures either: nothing tells to which workflow a
#: task belonged that was not sent.
WITHOUT_ARGUMENTS = {
    'failed_chord': '?/(alarm+)',
    'failed_chain': '?/',
}
MARKS = {'SUCCESS': '+', 'FAILURE': '-', 'UNSENT': '/'}


@dataclass
class Flows:
    """Workflows that were sent.

    :param tracked: a reader of the database
    :param ids: the id of a task of each
    :param expected: what is drawn of each in the end
    """

    tracked: TrackedTasks
    ids: dict[str, str]
    expected: dict[str, str]

    def finished(self, name: str) -> list[TrackedTask] | None:
        """All tasks of a workflow, once there are as many as expected and nothing is to come."""
        tasks = self.tracked.workflow(self.ids[name])
        is_complete = len(tasks) == sum(self.expected[name].count(mark) for mark in '+-/')
        # A workflow that has failed may go on for a while.
        picture = drawn(tree(tasks))
        is_over = overall(tasks) in ('SUCCESS', 'FAILURE') and '~' not in picture
        # A task may succeed before the monitor has stored it.
        return tasks if is_complete and is_over and '?+' not in picture else None


@pytest.fixture(scope='module', params=['arguments', 'no-arguments'])
def flows(
    request: pytest.FixtureRequest,
    postgres: Postgres,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Flows]:
    """All workflows, sent; they are running."""
    directory = tmp_path_factory.mktemp('flows')
    database = postgres.create_database()
    broker = make_broker('filesystem', request, directory)
    with closing(broker), Processes(directory) as processes:
        toolbox = Toolbox(directory, processes, broker, url_of(database))
        assert toolbox.start('tables').wait() == 0
        toolbox.monitor(*(['--no-arguments'] if request.param == 'no-arguments' else []))
        environment = clean_environment(ROOT / 'examples', HERE, **broker.environment, **database.environment)
        for project, options in (
            ('export_worker', ('-Q', 'export,celery', '-I', 'extra_tasks')),
            ('msg_worker', ('-Q', 'msg')),
        ):
            # One after the other: two that start at once can spoil the files in which kombu keeps bindings.
            processes.start(
                [sys.executable, '-m', 'celery', '-A', project, 'worker', '-c', '2', '-l', 'INFO', *options],
                environment,
            ).wait_for(r'ready\.$')
        ids: dict[str, str] = {}
        for producer in (ROOT / 'examples/producer.py', HERE / 'flows.py'):
            process = processes.start([sys.executable, str(producer)], environment)
            assert process.wait() == 0, process.log
            ids |= re.findall(r'^(\w+) ([0-9a-f-]{36})$', process.log, re.MULTILINE)
        with TrackedTasks(url_of(database)) as tracked:
            differences = WITHOUT_ARGUMENTS if request.param == 'no-arguments' else {}
            yield Flows(tracked, ids, EXPECTED | differences)


def drawn(nodes: list[Node], of_join: bool = False) -> str:
    """Sorted, for siblings may come in any order; but the body of a chord comes last."""
    texts = []
    for node in nodes:
        name = (node.task.name or '?').rpartition('.')[2]
        below = f'({drawn(node.children, name == "chord_unlock")})' if node.children else ''
        texts.append(f'{name}{MARKS.get(node.state, "~")}{below}')
    body = texts[-1:] if of_join else []
    return ' '.join([*sorted(texts[: len(texts) - len(body)]), *body])


@pytest.mark.slow
def test_each_workflow_is_one_tree(flows: Flows) -> None:
    for name, expected in flows.expected.items():
        workflow = wait_until(partial(flows.finished, name), f'{name} to be finished')
        assert drawn(tree(workflow)) == expected, name
        assert drawn(tree(flows.tracked.workflow(flows.ids[name], whole=False))) == expected, name
        # Any task of it leads to all of it.
        for task in workflow:
            assert flows.tracked.workflow(task.task_id) == workflow, (name, task)


@pytest.mark.slow
def test_a_group_is_known_by_its_id(flows: Flows) -> None:
    workflow = wait_until(lambda: flows.finished('group'), 'the group to be finished')
    assert {task.group_id for task in workflow} == {flows.ids['group']}
