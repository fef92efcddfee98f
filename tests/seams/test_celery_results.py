"""Celery's database backend, and its tables."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from celery import Celery
from celery.app.backends import by_url

from cadasta.workertoolbox.database.tables import sequence
from cadasta.workertoolbox.seams import celery_results
from rig.servers.postgres import Database


@pytest.mark.parametrize(('url', 'is_database'), [('db+sqlite://', True), ('redis://', False), ('rpc://', False)])
def test_backends_by_their_class(url: str, is_database: bool) -> None:
    backend, _ = by_url(url)
    assert celery_results.is_database_backend(backend) is is_database


def test_what_is_no_class_is_no_backend() -> None:
    assert not celery_results.is_database_backend('db+sqlite://')


def database_url(database: Database) -> str:
    return (
        f'db+postgresql+psycopg2://{database.role}:{database.password}@127.0.0.1:{database.server.port}/{database.name}'
    )


def store(url: str, **settings: object) -> sa.Engine:
    """Let Celery itself store a result, and a group, in tables that it makes."""
    app = Celery('seams', backend=url, set_as_current=False)
    app.conf.update(result_extended=True, **settings)
    app.backend.store_result('an id', 7, 'SUCCESS')
    app.backend.save_group('a group', app.GroupResult('a group', []))
    return sa.create_engine(url.removeprefix('db+'))


def test_the_tables_are_those_that_celery_makes(tmp_path: Path) -> None:
    inspector = sa.inspect(store(f'db+sqlite:///{tmp_path}/results.db'))
    for table in celery_results.copied_tables({}, {}):
        assert [column['name'] for column in inspector.get_columns(table.name)] == table.columns.keys()


def test_tables_of_other_names_leave_the_default_names_alone(tmp_path: Path) -> None:
    names = {'task': 'our_results', 'group': 'our_groups'}
    try:
        engine = store(f'db+sqlite:///{tmp_path}/results.db', database_table_names=names)
        with engine.connect() as connection:
            assert connection.execute(sa.select(celery_results.result_table().c.task_id)).scalars().all() == ['an id']
        assert celery_results.result_table().name == 'our_results'
        assert [table.name for table in celery_results.copied_tables(names, {})] == ['our_results', 'our_groups']
        assert [table.name for table in celery_results.copied_tables({}, {'task': 'ours'})] == [
            'celery_taskmeta',
            'celery_tasksetmeta',
        ]
    finally:
        # A backend renames the tables of the process.
        Celery('usual', backend='db+sqlite://', set_as_current=False).backend.ResultSession().close()
    assert celery_results.result_table().name == 'celery_taskmeta'


def test_the_sequence_is_the_one_that_celery_uses(database: Database) -> None:
    app = Celery('seams', backend=database_url(database), set_as_current=False)
    app.backend.store_result('an id', 7, 'SUCCESS')
    used = database.execute('SELECT sequencename FROM pg_sequences WHERE last_value IS NOT NULL')
    results, _ = celery_results.copied_tables({}, {})
    assert used == [(sequence(results).name,)]
