"""The access log of the page."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path

import pytest
from werkzeug.datastructures import Authorization

from cadasta.workertoolbox.ui.app import create_app

from .seed import SECRET, Seed
from .test_users import line

#: The common log format.
LINE = re.compile(
    r'(\S+) - (\S+) \[(\d\d/\w{3}/\d{4}(?::\d\d){3} \+0000)\] "([A-Z]+) (\S+) (HTTP/1\.1)" (\d{3}) (\d+|-)'
)


@pytest.fixture
def log() -> StringIO:
    return StringIO()


def entries(log: StringIO) -> list[tuple[str, ...]]:
    found = [LINE.fullmatch(text) for text in log.getvalue().split('\n')[:-1]]
    assert all(found), log.getvalue()
    return [(match[1], match[2], match[4], match[5], match[7]) for match in found if match]


def test_each_request_has_a_line(seed: Seed, log: StringIO) -> None:
    seed.task('7')
    client = create_app(seed.url, access_log=log, prefix='/queue').test_client()
    for path in ('/queue/', '/queue/tasks/7', '/queue/nowhere', '/nowhere', '/queue/static/icon.svg', '/queue/healthz'):
        client.get(path).close()
    client.post('/queue/').close()
    client.get('/queue/', headers={'Host': 'rebound.example'}).close()
    assert entries(log) == [
        ('127.0.0.1', '-', 'GET', '/queue/', '200'),
        ('127.0.0.1', '-', 'GET', '/queue/tasks/7', '200'),
        ('127.0.0.1', '-', 'GET', '/queue/nowhere', '404'),
        ('127.0.0.1', '-', 'GET', '/nowhere', '404'),
        ('127.0.0.1', '-', 'GET', '/queue/static/icon.svg', '200'),
        ('127.0.0.1', '-', 'GET', '/queue/healthz', '200'),
        ('127.0.0.1', '-', 'POST', '/queue/', '405'),
        ('127.0.0.1', '-', 'GET', '/queue/', '400'),
    ]


def test_the_size_of_the_answer(seed: Seed, log: StringIO) -> None:
    client = create_app(seed.url, access_log=log).test_client()
    with client.get('/tasks') as answer:
        assert log.getvalue() == ''
        size = len(answer.data)
    assert log.getvalue().endswith(f' 200 {size}\n')


def test_it_names_the_user_and_tells_no_secret(seed: Seed, log: StringIO, tmp_path: Path) -> None:
    """Neither what somebody looks for nor a password, nor the name of somebody who was not let in: it may be one."""
    users = tmp_path / 'users'
    users.touch(0o600)
    users.write_text(line('Zoë Å', SECRET))
    client = create_app(seed.url, access_log=log, users=str(users)).test_client()
    for name, password in (('Zoë Å', SECRET), (SECRET, 'x')):
        auth = Authorization('basic', {'username': name, 'password': password})
        client.get(f'/tasks?find={SECRET}', auth=auth, headers={'Referer': f'http://localhost/{SECRET}'}).close()
    assert entries(log) == [
        ('127.0.0.1', 'Zo%C3%AB%20%C3%85', 'GET', '/tasks', '200'),
        ('127.0.0.1', '-', 'GET', '/tasks', '401'),
    ]
    assert SECRET not in log.getvalue()


@pytest.mark.parametrize('path', ['/\n127.0.0.1 - ada', '/"x" 200 1', '/\x1b[2J', '/\u2028é', '/%0a', '/ x'])
def test_nobody_forges_a_line(seed: Seed, log: StringIO, path: str) -> None:
    client = create_app(seed.url, access_log=log).test_client()
    environ = {'PATH_INFO': path.encode().decode('latin-1')}
    client.get('/', environ_overrides=environ).close()
    ((_, _, _, written, status),) = entries(log)
    assert status == '404'
    assert re.fullmatch(r'/[\w%.+-]+', written, re.ASCII) or '[2J' in written
