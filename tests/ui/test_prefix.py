"""The page below a path of a site."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import urljoin

import pytest
from flask.testing import FlaskClient

from cadasta.workertoolbox.errors import SettingError
from cadasta.workertoolbox.ui import views
from cadasta.workertoolbox.ui.app import create_app

from .seed import Seed

ADDRESS = re.compile(r'\b(?:href|src|action)="([^"]*)"')


def followed(address: str, link: str) -> str:
    """Where a browser goes: it leaves out dots, written as such or encoded, and takes a backslash for a slash."""
    path, question, query = unescape(link).partition('?')
    path = re.sub('%2e', '.', path, flags=re.IGNORECASE).replace('\\', '/')
    return urljoin(f'http://localhost{address}', path).removeprefix('http://localhost') + question + query


@pytest.fixture
def client(seed: Seed) -> FlaskClient:
    return create_app(seed.url, prefix='/ops/queue/').test_client()


@pytest.mark.parametrize('prefix', ['/ops/queue', '/ops/queue/'])
def test_a_slash_at_the_end_does_not_matter(seed: Seed, prefix: str) -> None:
    client = create_app(seed.url, prefix=prefix).test_client()
    for address in ('/ops/queue', '/ops/queue/'):
        answer = client.get(address)
        assert (answer.status_code, 'href="/ops/queue/tasks"' in answer.text) == (200, True)


@pytest.mark.long
def test_every_link_stays_below_the_prefix(client: FlaskClient, seed: Seed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever follows all links, of lists that have more than one page too, finds pages, and leaves them never."""
    monkeypatch.setattr(views, 'TASKS', 2)
    seed.project()
    seed.hostile()
    seed.worker('export@host')
    for hostile in ('//evil.example/..', '../../../evil', '%2e%2e/..%2f../evil', '\\\\evil.example\\..\\..'):
        seed.task(hostile, root_id='project')
    found, seen = ['/ops/queue', '/ops/queue/?name=x', '/ops/queue/nowhere'], set[str]()
    while found and len(seen) < 400:
        address = found.pop()
        seen.add(address)
        answer = client.get(address)
        links = [followed(address, link) for link in ADDRESS.findall(answer.text) if link != '#main']
        links += [answer.headers['Location']] if 'Location' in answer.headers else []
        assert links or 'static' in address or '/api/' in address, address
        assert [link for link in links if re.match(r'/ops/queue/(?!/)', link) is None] == []
        assert answer.status_code == (404 if address.endswith('nowhere') else 302 if 'name=x' in address else 200), (
            address
        )
        found += [link for link in links if link not in seen and link not in found]
    assert {f'/ops/queue/static/{name}' for name in ('page.js', 'style.css', 'icon.svg')} <= seen
    assert any('before=' in address for address in seen)
    # The script asks for the page that is shown, and for nothing by a path of its own.
    script = client.get('/ops/queue/static/page.js').text
    assert re.findall(r'fetch\(([^)]*)\)', script) == ['location.href']


@pytest.mark.parametrize(
    'path', ['/', '/tasks', '/healthz', '/ops', '/ops/queues', '/ops//queue/', '/OPS/queue/', '//']
)
def test_all_else_is_not_found(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert 'The page is at /ops/queue/.' in answer.text


@pytest.mark.parametrize(
    'prefix',
    ['//evil.example', 'queue', '/../queue', '/queue/..', '/.', '/a//b', '/a b', '/é', '/a?b', '/a%2f', '/a\n', '/a//'],
)
def test_what_is_no_prefix(seed: Seed, prefix: str) -> None:
    with pytest.raises(SettingError, match=re.escape(f'{prefix!r} is no prefix of paths')):
        create_app(seed.url, prefix=prefix)


def test_a_prefix_and_a_host(seed: Seed) -> None:
    client = create_app(seed.url, hosts=['tasks.example.org'], prefix='/queue').test_client()
    assert client.get('/queue/', headers={'Host': 'tasks.example.org'}).status_code == 200
    assert client.get('/queue/', headers={'Host': 'rebound.example'}).status_code == 400
