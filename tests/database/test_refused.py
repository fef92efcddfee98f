"""A database that never comes right by itself is refused at once, and every reader is told what to change."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from celery import Celery

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.errors import NotUsable
from cadasta.workertoolbox.monitor import Monitor
from cadasta.workertoolbox.results import identity
from cadasta.workertoolbox.ui.app import create_app
from rig.monitor.databases import url_of
from rig.monitor.programs import Toolbox
from rig.servers.broker import Broker
from rig.servers.postgres import Database
from rig.servers.process import Processes

from ..commands.test_monitor import run


def app_with(url: str) -> Celery:
    app = Celery('refused', set_as_current=False)
    app.config_from_object(Config(broker_url='memory://'))
    # A Config refuses some of these URLs.
    app.conf.result_backend = f'db+{url}'
    return app


def cases(database: Database) -> Iterator[tuple[str, str, str]]:
    """URLs, what the server or libpq says of them, and what is to be changed."""
    good = url_of(database, database.role, database.password)
    yield url_of(database, database.role, 'wrong'), 'password authentication failed', 'RESULT_DB_PASS'
    yield good.replace(f':{database.password}@', '@'), 'no password supplied', 'RESULT_DB_PASS'
    yield good.rpartition('/')[0] + '/nowhere', 'database "nowhere" does not exist', 'RESULT_DB_NAME'
    yield good.replace(f':{database.server.port}/', ':70000/'), 'invalid port number: "70000"', 'the port'
    yield f'{good}?sslmode=require', 'does not support SSL', 'parameters in the URL'
    yield f'{good}?sslmode=maybe', 'invalid sslmode value', 'parameters in the URL'
    yield f'{good}?bogus=1', 'invalid connection option "bogus"', 'parameters in the URL'
    yield f'{good}?options=-c%20serch_path%3Dx', 'unrecognized configuration parameter', 'options in the URL'
    database.execute(f'ALTER ROLE {database.role} NOLOGIN')
    yield good, 'is not permitted to log in', 'LOGIN'
    database.execute(f'ALTER ROLE {database.role} LOGIN')
    database.execute(f'REVOKE CONNECT ON DATABASE {database.name} FROM {database.role}')
    yield good, 'permission denied for database', 'GRANT CONNECT'


def test_at_once(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(identity._VARIABLE, raising=False)
    for url, says, change in cases(database):
        app = app_with(url)
        with pytest.raises(NotUsable, match=says) as raised:
            Monitor(app, url).run()
        assert change in str(raised.value)
        result = run(app, 'tasks', '--database', url)
        assert result.exit_code == 1
        assert result.output.startswith('Error: The database refuses the connection: ')
        assert says in result.output
        page = create_app(url).test_client().get('/')
        assert (page.status_code, change in page.text) == (503, True)
        with pytest.raises(NotUsable, match=says) as asked:
            app.backend.get_task_meta('1')
        for text in (str(raised.value), str(asked.value), result.output, page.text):
            assert 'wrong' not in text


@pytest.mark.parametrize('broker', ['redis'], indirect=True)
def test_a_monitor_ends(
    broker: Broker, database: Database, processes: Processes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    url = url_of(database, password='wrong')
    toolbox = Toolbox(tmp_path_factory.mktemp('project'), processes, broker, url)
    process = toolbox.start('monitor')
    assert process.wait() == 1
    assert 'Error: The database refuses the connection: ' in process.log
    assert 'RESULT_DB_PASS' in process.log
