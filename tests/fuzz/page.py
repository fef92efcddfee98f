"""Whatever is asked of the page and is in the tables, it answers, escapes what it shows, and hides secrets."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import sqlalchemy as sa
from flask.testing import FlaskClient

from cadasta.workertoolbox.database.connection import engine
from cadasta.workertoolbox.database.tables import task
from cadasta.workertoolbox.database.values import storable
from cadasta.workertoolbox.ui.app import create_app

from ..ui.seed import SECRET, Seed, results

URL = 'sqlite:///file:fuzzed-page?mode=memory&cache=shared&uri=true'
#: Nobody may get this to run in a reader's browser.
SCRIPT = '<script>fuzz'
#: An input has these parts, a line each, and some may be missing.
PARTS = ('path', 'query', 'host', 'id', 'name', 'state', 'root', 'options', 'traceback')
ANSWERS = {200, 302, 304, 308, 400, 404, 405, 414, 431}


def written(**parts: str) -> bytes:
    """Write an input."""
    return '\n'.join(parts.get(name, '') for name in PARTS).encode()


def seeds() -> Iterator[bytes]:
    """Give the requests that the page makes, and rows that hurt a page that trusts them."""
    yield written(path='/')
    yield written(path='/tasks', query='state=FAILURE&find=export.*&queue=export&root=7&newer=1h&older=30s')
    yield written(path='/tasks', query='find=7&error=KeyError&worker=a&group=b&standing=lost')
    yield written(path='/tasks/7', query='first=2', id='8', root='7')
    yield written(path='/failures', query='window=hour', id='7', state='FAILURE', name=SCRIPT)
    yield written(path='/names', name=SCRIPT)
    yield written(path='/workers')
    yield written(path='/tasks', query='before=1795359845000000%2Cexport-7')
    yield written(path='/tasks/7', id='7', name=SCRIPT, state='FAILURE', traceback=SCRIPT)
    yield written(path='/tasks/a/../b?', id='a/../b?', state='STARTED', root='7', options='{"chord": {"task": 1}}')
    yield written(path='/counts', query='window=week', name=SCRIPT)
    yield written(path='/api/tasks', query='find=7&newer=1h&before=1795359845000000%2C7&limit=2', id='7', name=SCRIPT)
    yield written(path='/api/tasks/7', query='format=csv', id='7', name='=cmd', state='FAILURE', traceback=SCRIPT)
    yield written(path='/api/workflows/7', query='first=2&format=json', id='7', root='7')
    yield written(path='/api/openapi.json')
    yield written(path='/static/style.css', host='localhost:8642')
    yield written(path='/', host='rebound.example')


@contextmanager
def target() -> Iterator[Callable[[bytes], None]]:
    """Open a database in memory, and give the function that takes an input."""
    with engine(URL).connect() as connection:
        seed = Seed(URL)
        clients = [create_app(URL, shown).test_client() for shown in (False, True)]
        yield partial(check, clients, seed, connection)


def check(clients: list[FlaskClient], seed: Seed, connection: sa.Connection, data: bytes) -> None:
    parts = [storable(part.decode('utf-8', 'replace')) for part in data.split(b'\n', len(PARTS) - 1)]
    given = dict(zip(PARTS, [*parts, *('' for _ in PARTS)], strict=False))
    store(seed, given)
    for client in clients:
        environ: dict[str, Any] = {'PATH_INFO': '/', 'QUERY_STRING': ''}
        environ.update(PATH_INFO=wsgi('/' + given['path'].lstrip('/')), QUERY_STRING=wsgi(given['query']))
        if given['host']:
            environ['HTTP_HOST'] = wsgi(given['host'])
        response = client.get('/', environ_overrides=environ)
        assert response.status_code in ANSWERS, response.text
        if response.mimetype == 'text/html':
            assert SCRIPT not in response.text
        elif response.mimetype in ('application/json', 'application/problem+json'):
            json.loads(response.data.decode())
        assert 'Content-Security-Policy' in response.headers
        assert client is not clients[0] or SECRET not in response.text
    for table in (task, results):
        connection.execute(sa.delete(table))
    connection.commit()


def store(seed: Seed, given: dict[str, str]) -> None:
    task_id = given['id'][:155] or '7'
    seed.task(
        task_id,
        given['state'][:50] or None,
        name=given['name'],
        root_id=given['root'][:155] or task_id,
        args=[SECRET],
        kwargs={SECRET: given['name']},
        options={'shadow': given['options'], 'argsrepr': SECRET},
        **({'result': given['traceback'].encode(), 'traceback': SECRET} if given['state'] else {}),
    )


def wsgi(text: str) -> str:
    """Write text as a WSGI server gives it to an application: a character for each byte."""
    return text.encode().decode('latin-1')
