"""The reference names all settings, commands, tables and columns."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import pytest
import sqlalchemy as sa
from docutils import nodes

from cadasta.workertoolbox.commands import toolbox
from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.database import tables, views
from cadasta.workertoolbox.database.upgrade import upgrade_outbox
from cadasta.workertoolbox.tracked.task import STANDINGS
from rig.monitor.databases import TaskDatabase, url_of
from rig.servers.postgres import Database

from ..tracked.rows import NOON, schedule, store
from .manual import Manual

PAGES = ['reference/tables']


def rows(document: nodes.document, title: str) -> dict[str, list[str]]:
    """A table, by the first cell of each row."""
    (table,) = (table for table in document.findall(nodes.table) if table.next_node(nodes.title).astext() == title)
    cells = ([cell.astext() for cell in row.findall(nodes.entry)] for row in table.next_node(nodes.tbody).children)
    return {first: others for first, *others in cells}


@pytest.mark.parametrize('table', tables.metadata.tables.values(), ids=str)
def test_columns_of_tables(manual: Manual, upgraded: Database, table: sa.Table) -> None:
    upgrade_outbox(url_of(upgraded))
    described = rows(manual.read('reference/tables'), f'Columns of {table.name}')
    assert list(described) == [column.name for column in table.columns]
    assert {name: kind for name, (kind, _) in described.items()} == types(upgraded, table.name)


def test_columns_of_the_view(manual: Manual, upgraded: Database) -> None:
    page = manual.read('reference/tables')
    described = rows(page, f'Columns of {views.VIEW}')
    described |= rows(page, f'Columns of {views.VIEW} about how a task ran')
    found = types(upgraded, views.VIEW)
    for column in tables.task.columns:
        if column.name not in described and column is not tables.task.c.body:
            del found[column.name]
    assert {name: kind for name, (kind, _) in described.items()} == found


def test_standings(manual: Manual) -> None:
    assert tuple(rows(manual.read('reference/tables'), 'Values of standing')) == STANDINGS


def test_queries(manual: Manual, database: Database) -> None:
    """Each finds a row."""
    url = url_of(database)
    tasks = TaskDatabase(url)
    for name, values in {'failed': {}, 'running': {'kwargs': {'customer': 42}}}.items():
        seen = (datetime.now(UTC) - NOON) / timedelta(minutes=1)
        schedule(tasks, name, seen, sent=datetime.now(UTC), **values)
    ran = {'runs': 1, 'retries': 0, 'replaced': 0, 'started': datetime.now(UTC), 'worker': 'export@host#1.0a'}
    store(tasks, 'failed', 'FAILURE', result=b'{"exc_type": "KeyError", "exc_message": ["x"]}', **ran)
    store(tasks, 'running', 'STARTED', **ran)
    schedule(tasks, 'queued', seen - 120)
    found = [database.execute(block.text.replace('%', '%%')) for block in manual.blocks(PAGES[0], 'postgresql')]
    assert [len(answer) for answer in found] == [1, 1, 1, 1, 1]
    assert found[0][0][1:] == ('export.project', 'failed', 'KeyError')
    assert found[1][0][:2] == ('export.project', 2)
    assert found[2] == [('export@host#1.0a', 'running', 1)]
    assert found[3][0][1:] == ('export.project', 'queued', 'queued')
    assert found[4][0][2] == 'running'


def test_every_table_and_view(manual: Manual, upgraded: Database) -> None:
    text = manual.read('reference/tables').astext()
    for (name,) in upgraded.execute(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'v') AND relnamespace = 'public'::regnamespace"
    ):
        assert name in text


def test_columns_of_the_view_of_stored_tasks(manual: Manual, upgraded: Database) -> None:
    found = types(upgraded, views.SCHEDULED_VIEW)
    alone = rows(manual.read('reference/tables'), 'Columns of celery_task_scheduled alone')
    assert {name: kind for name, (kind, _) in alone.items()} == {name: found.pop(name) for name in alone}
    assert found.keys() == types(upgraded, views.VIEW).keys()


def types(database: Database, table: str) -> dict[str, str]:
    found = database.execute(
        'SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute '
        'WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum',
        table,
    )
    short = {
        'character varying': 'varchar',
        'timestamp with time zone': 'timestamptz',
        'timestamp without time zone': 'timestamp',
    }
    for long, name in short.items():
        found = [(column, kind.replace(long, name)) for column, kind in found]
    return dict(found)


def settings_table(manual: Manual, title: str) -> dict[str, list[str]]:
    return rows(manual.read('reference/settings'), title)


def literal(cell: str) -> Any:
    """Read the value at the beginning of a cell."""
    word = cell.partition(' ')[0].rstrip(':')
    if word.startswith('inf'):
        return float('inf')
    if word[0] not in '\'"({[':
        return ast.literal_eval(word)
    for end in range(1, len(cell) + 1):
        try:
            return ast.literal_eval(cell[:end])
        except SyntaxError:
            continue
    raise AssertionError(f'no value in {cell!r}')


def test_table_of_settings(manual: Manual) -> None:
    config = Config()
    described = settings_table(manual, "Where Config differs from Celery's defaults")
    assert set(described) == set(config.to_dict())
    for name in set(described) - {'task_queues', 'task_routes'}:
        assert literal(described[name][0]) == config[name], name


def test_table_of_variables(manual: Manual, monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config()
    described = {name.partition(' ')[0]: cells for name, cells in settings_table(manual, 'Variables').items()}
    assert set(described) == {name for name in config if name == name.upper()}
    for name, (default, variable) in described.items():
        assert literal(default) == config[name], name
        if variable:
            flags = {'RUN_ONCE': ('no', 'False'), 'FAIR_QUEUES': ('1', 'True'), 'REPORT': ('no', 'False')}
            text, value = {'QUEUES': ('["7"]', "['7']"), **flags}.get(name, ('7', '7'))
            monkeypatch.setenv(variable.partition(',')[0], text)
            assert str(Config()[name]) == value, name


def options(command: click.Command, path: str = '') -> Iterator[tuple[str, click.Option]]:
    for option in command.params:
        if isinstance(option, click.Option):
            yield path, option
    for name, child in getattr(command, 'commands', {}).items():
        yield from options(child, f'{path} {name}')


def test_commands(manual: Manual) -> None:
    document = manual.read('reference/commands')
    text = document.astext()
    titles = {title.astext() for title in document.findall(nodes.title)}
    assert toolbox.commands.keys() <= titles
    for path, option in options(toolbox):
        assert option.opts[-1] in text, f'{path} {option.opts}'
