"""Which test runs which code blocks of the manual. The test fails where it ends without having run them."""

from __future__ import annotations

from typing import NamedTuple

from .manual import Block, Manual


class Run(NamedTuple):
    """Blocks of a page, and the test that runs them.

    :param page: the page
    :param test: the id of the test
    :param text: what the blocks hold; nothing for all blocks of the page
    """

    page: str
    test: str
    text: str = ''

    def has(self, block: Block) -> bool:
        return block.page == self.page and block.is_to_be_run and self.text in block.text


_SCALE = 'tests/docs/test_scale.py'
_OTHERS = 'tests/docs/test_postgresql.py::test_commands_of_other_pages'

RUNS = (
    Run('tutorial', 'tests/docs/test_tutorial.py::test_tutorial'),
    Run('howto/aws', 'tests/docs/test_aws.py::test_queues'),
    Run('howto/rabbitmq', 'tests/docs/test_brokers.py::test_rabbitmq'),
    Run('howto/redis', 'tests/docs/test_brokers.py::test_redis'),
    Run('howto/postgresql', 'tests/docs/test_postgresql.py::test_roles_and_connections'),
    Run('howto/migrating', f'{_OTHERS}[howto/migrating]'),
    Run('explanation/measured', 'tests/docs/test_measured.py::test_commands'),
    Run('explanation/scale', f'{_OTHERS}[explanation/scale]', 'toolbox tables'),
    Run('explanation/scale', f'{_SCALE}::test_pruning', 'results AS ('),
    Run('explanation/scale', f'{_SCALE}::test_pruning', 'celery_task_rejected WHERE'),
    Run('explanation/scale', f'{_SCALE}::test_role_for_pruning', 'CREATE ROLE janitor'),
    Run('explanation/scale', f'{_SCALE}::test_archive', 'PARTITION BY RANGE'),
    Run('explanation/scale', f'{_SCALE}::test_archive', 'INSERT INTO celery_task_archive'),
    Run('explanation/scale', f'{_SCALE}::test_archive', 'DROP TABLE celery_task_archive'),
    Run('explanation/scale', f'{_SCALE}::test_numbers_of_results', 'TYPE bigint'),
    Run('explanation/scale', f'{_SCALE}::test_settings_of_the_database', 'synchronous_commit'),
    Run('explanation/scale', f'{_SCALE}::test_settings_of_the_database', 'autovacuum'),
    Run('explanation/scale', f'{_SCALE}::test_partitions_of_the_task_table', 'PARTITION BY HASH'),
)


def not_run(manual: Manual, test: str) -> list[Block]:
    """Tells which blocks a test should have run and has not."""
    wanted = [block for run in RUNS if run.test == test for block in manual.blocks(run.page) if run.has(block)]
    return [block for block in wanted if not block.was_run]
