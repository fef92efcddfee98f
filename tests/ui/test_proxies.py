"""Headers of proxies, and of strangers that pass for one."""

from __future__ import annotations

from io import StringIO

import pytest

from cadasta.workertoolbox.errors import SettingError
from cadasta.workertoolbox.ui.app import create_app

from .seed import NOW, SECRET, Seed

#: What a stranger sends, to be another one at another place.
FORGED = {
    'Forwarded': 'for=6.6.6.6;host=evil.example;proto=https',
    'X-Forwarded-For': '6.6.6.6',
    'X-Forwarded-Host': 'evil.example',
    'X-Forwarded-Port': '666',
    'X-Forwarded-Prefix': '//evil.example',
    'X-Forwarded-Proto': 'https',
    'X-Script-Name': '/evil',
    'X-Role': 'operator',
    'Script-Name': '/evil',
    'Remote-User': 'ada',
}


class Page:
    """A page with a task that has a secret, for clients at any address."""

    def __init__(self, seed: Seed, *trusted: str, roles: tuple[str, ...] = ('X-Role=operator',)) -> None:
        self.log = StringIO()
        self.client = create_app(
            seed.url, trusted_proxies=trusted, arguments_for=roles if trusted else (), access_log=self.log
        ).test_client()

    def get(self, peer: str, headers: dict[str, str], path: str = '/tasks/7') -> str:
        with self.client.get(path, headers=headers, environ_overrides={'REMOTE_ADDR': peer}) as answer:
            assert answer.status_code in (200, 302)
            return f'{answer.headers.get("Location", "")}{answer.text}'

    @property
    def clients(self) -> list[str]:
        """The addresses in the access log."""
        return [line.partition(' ')[0] for line in self.log.getvalue().splitlines()]


@pytest.fixture(autouse=True)
def task(seed: Seed) -> None:
    seed.task('7', 'SUCCESS', args=[SECRET], started=NOW)


def without_moment(page: str) -> str:
    return page.partition('<footer>')[0]


@pytest.mark.parametrize('trusted', [(), ('10.0.0.7',), ('10.0.0.0/24', 'fd00::/8')])
@pytest.mark.parametrize('peer', ['127.0.0.1', '10.0.1.7', '::1', '::ffff:10.0.1.7', '', 'unix:', '10.0.0.7.evil'])
def test_nobody_is_trusted_by_default(seed: Seed, trusted: tuple[str, ...], peer: str) -> None:
    page = Page(seed, *trusted)
    for path in ('/tasks/7', '/?name=x', '/tasks'):
        assert without_moment(page.get(peer, FORGED, path)) == without_moment(page.get(peer, {}, path))
    assert SECRET not in page.get(peer, FORGED)
    assert set(page.clients) == {peer or '-'}


@pytest.mark.parametrize('peer', ['10.0.0.7', '::ffff:10.0.0.7'])
@pytest.mark.parametrize('trusted', ['10.0.0.7', '10.0.0.0/24', '0.0.0.0/0'])
def test_a_trusted_proxy(seed: Seed, trusted: str, peer: str) -> None:
    """What the proxy adds is believed, and not what the client had sent it."""
    page = Page(seed, trusted)
    page.get(peer, {'X-Forwarded-For': '6.6.6.6, 192.0.2.1'})
    page.get(peer, {'X-Forwarded-For': '2001:db8::1'})
    page.get(peer, {'X-Forwarded-For': 'evil 200 é'})
    page.get(peer, {})
    assert page.clients == ['192.0.2.1', '2001:db8::1', 'evil%20200%20%C3%A9', peer]


def test_links_do_not_depend_on_a_trusted_proxy(seed: Seed) -> None:
    """A proxy that passes on what the client sends would put it into links."""
    page = Page(seed, '10.0.0.7')
    forged = {**FORGED, 'X-Role': 'none'}
    for path in ('/tasks/7', '/?name=x'):
        assert without_moment(page.get('10.0.0.7', forged, path)) == without_moment(page.get('10.0.0.7', {}, path))


def test_a_host_that_a_header_names_does_not_count(seed: Seed) -> None:
    """A web site that points a name of its own at the page could send the header."""
    client = create_app(seed.url, trusted_proxies=['127.0.0.1']).test_client()
    headers = {'Host': 'rebound.example', 'X-Forwarded-Host': 'localhost'}
    assert client.get('/', headers=headers).status_code == 400


@pytest.mark.parametrize(
    ('headers', 'shown'),
    [
        ({'X-Role': 'operator'}, True),
        ({'x-role': 'operator'}, True),
        ({'X-Team': 'Käse=brot'.encode().decode('latin-1')}, True),
        ({'X-Role': 'Operator'}, False),
        ({'X-Role': 'operator,viewer'}, False),
        ({'X-Role': 'operators'}, False),
        ({'X-Role': ''}, False),
        ({'X-Other': 'operator'}, False),
        ({}, False),
    ],
)
def test_arguments_by_role(seed: Seed, headers: dict[str, str], shown: bool) -> None:
    page = Page(seed, '10.0.0.7', roles=('X-Role=operator', 'X-Team=Käse=brot'))
    for path in ('/tasks/7', '/api/tasks/7'):
        assert (SECRET in page.get('10.0.0.7', headers, path)) == shown
        assert SECRET not in page.get('10.0.0.8', headers, path)


def test_errors_by_role(seed: Seed) -> None:
    failed = {'result': f'{{"exc_type": "KeyError", "exc_message": ["{SECRET}"]}}'.encode(), 'traceback': SECRET}
    seed.task('8', 'FAILURE', **failed)
    page = Page(seed, '10.0.0.7')
    for path in ('/failures', '/tasks/8', '/', '/api/failures', '/api/tasks/8', '/api/now'):
        assert SECRET in page.get('10.0.0.7', {'X-Role': 'operator'}, path)
        assert SECRET not in page.get('10.0.0.7', {}, path)


@pytest.mark.parametrize('role', ['X-Role', 'X-Role=', '=operator', 'X_Role=operator', 'X Role=operator', ''])
def test_what_is_no_role(seed: Seed, role: str) -> None:
    with pytest.raises(SettingError, match='is no header with a value'):
        create_app(seed.url, trusted_proxies=['127.0.0.1'], arguments_for=[role])


def test_a_role_without_a_proxy(seed: Seed) -> None:
    with pytest.raises(SettingError, match='Anybody could send a header that shows arguments'):
        create_app(seed.url, arguments_for=['X-Role=operator'])


@pytest.mark.parametrize('address', ['1', 'proxy.example.org', '10.0.0.7/8', '*', '', '10.0.0.0/33'])
def test_what_is_no_address(seed: Seed, address: str) -> None:
    with pytest.raises(SettingError, match='is no address of a proxy'):
        create_app(seed.url, trusted_proxies=[address])
