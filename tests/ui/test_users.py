"""Users of the page: a file of names and hashes, and HTTP Basic."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.datastructures import Authorization
from werkzeug.security import check_password_hash, generate_password_hash
from werkzeug.test import TestResponse

from cadasta.workertoolbox.errors import NotUsable
from cadasta.workertoolbox.ui import users
from cadasta.workertoolbox.ui.app import create_app
from rig.servers.process import free_port

from .seed import SECRET, Seed

#: As quick as a hash can be. Tests that measure nothing need no slow one.
QUICK = 'pbkdf2:sha256:1'


def line(name: str, password: str, method: str = QUICK) -> str:
    return f'{name}:{generate_password_hash(password, method)}\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / 'users'
    path.touch(0o600)
    path.write_text(line('ada', 'correct-horse') + line('Zoë Ångström', 'pässwörd: 🔑'))
    return path


@pytest.fixture
def client(seed: Seed, file: Path) -> FlaskClient:
    return create_app(seed.url, users=str(file)).test_client()


def ask(client: FlaskClient, name: str, password: str, path: str = '/tasks') -> TestResponse:
    return client.get(path, auth=Authorization('basic', {'username': name, 'password': password}))


@pytest.mark.parametrize('path', ['/', '/tasks/7', '/metrics', '/static/page.js', '/nowhere', '/healthz/'])
def test_a_stranger_sees_nothing(client: FlaskClient, seed: Seed, path: str) -> None:
    seed.task('7')
    for answer in (client.get(path), client.head(path), client.options(path), client.post(path)):
        assert answer.status_code == 401
        assert answer.headers['WWW-Authenticate'] == 'Basic realm="Worker Toolbox", charset=UTF-8'
        assert 'export' not in answer.text


@pytest.mark.parametrize(
    'header',
    [
        'Basic',
        'Basic !',
        'Basic YWRh',
        'Basic /w==',
        'Bearer x',
        'Basic ' + 'x' * 9_999,
        'Digest username="ada"',
        'ada',
    ],
)
def test_headers_that_are_no_name_and_password(client: FlaskClient, header: str) -> None:
    assert client.get('/', headers={'Authorization': header}).status_code == 401


def test_users_see_the_page(client: FlaskClient) -> None:
    for name, password in {'ada': 'correct-horse', 'Zoë Ångström': 'pässwörd: 🔑'}.items():
        for _ in range(2):
            assert ask(client, name, password).status_code == 200
    for name, password in {'ada': 'pässwörd: 🔑', 'Ada': 'correct-horse', 'Zoë Ångström': 'pässwörd', '': ''}.items():
        assert ask(client, name, password).status_code == 401


def test_everybody_may_ask_for_the_health(client: FlaskClient) -> None:
    answer = client.get('/healthz')
    assert (answer.status_code, answer.text) == (200, 'ok\n')
    assert ask(client, 'ada', 'wrong', '/healthz').status_code == 200


@pytest.mark.process
def test_strangers_learn_nothing_of_the_database(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    client = create_app(f'postgresql://ada@127.0.0.1:{free_port()}/db', users=str(file)).test_client()
    answer = client.get('/healthz')
    assert (answer.status_code, answer.text) == (503, 'The database cannot be read: the log of the page says why\n')
    assert 'Connection refused' in caplog.text
    assert 'Connection refused' in ask(client, 'ada', 'correct-horse', '/metrics').text


def test_a_change_of_the_file_counts_at_once(client: FlaskClient, file: Path) -> None:
    assert ask(client, 'ada', 'correct-horse').status_code == 200
    file.write_text(line('ada', 'other') + line('bob', 'new'))
    assert ask(client, 'ada', 'correct-horse').status_code == 401
    assert ask(client, 'ada', 'other').status_code == 200
    assert ask(client, 'bob', 'new').status_code == 200
    file.write_text(line('bob', 'new'))
    assert ask(client, 'ada', 'other').status_code == 401


@pytest.mark.parametrize('spoil', [Path.unlink, lambda file: file.write_text(''), lambda file: file.chmod(0o602)])
def test_a_file_that_becomes_unusable_lets_nobody_in(
    client: FlaskClient, file: Path, spoil: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    assert ask(client, 'ada', 'correct-horse').status_code == 200
    spoil(file)
    answer = ask(client, 'ada', 'correct-horse')
    assert answer.status_code == 503
    assert str(file) in caplog.text
    assert str(file) not in answer.text
    assert client.get('/healthz').status_code == 200


GOOD = line('ada', SECRET)


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        (b'', 'has no user'),
        (b'\r\n\n', 'has no user'),
        (f'{GOOD}bob'.encode(), 'line 2 has no name, or no hash'),
        (f'{GOOD}\nbob:{SECRET}'.encode(), 'line 3 has no name, or no hash'),
        (f':{GOOD}'.encode(), 'line 1 has no name, or no hash'),
        (f'{GOOD}# {GOOD}ada:x'.encode(), 'line 3 has no name, or no hash'),
        (GOOD.encode() * 2, 'line 2 has the name of a line above'),
        (f'{GOOD}\xff'.encode('latin-1'), 'line 2 is not in UTF-8'),
        (f'ada:$apr1${SECRET}$ab'.encode(), 'line 1 has no name, or no hash'),
        (f'ada:{{SHA}}{SECRET}'.encode(), 'line 1 has no name, or no hash'),
        (b'ada:scrypt:3:8:1$salt$ab', 'line 1 has no name, or no hash'),
        (b'ada:scrypt:99999999999999999999:8:1$salt$ab', 'line 1 has no name, or no hash'),
        (b'ada:pbkdf2:no:1$salt$ab', 'line 1 has no name, or no hash'),
        ('ada:pbkdf2:sha256:1$salt$é'.encode(), 'line 1 has no name, or no hash'),
    ],
)
def test_broken_lines(seed: Seed, file: Path, text: bytes, reason: str) -> None:
    file.write_bytes(text)
    with pytest.raises(NotUsable) as caught:
        create_app(seed.url, users=str(file))
    assert str(file) in str(caught.value)
    assert reason in str(caught.value)
    digest = GOOD.rpartition('$')[2].strip()
    shown = ''.join(traceback.format_exception(caught.value))
    assert SECRET not in shown
    assert digest not in shown


def test_lines_as_windows_writes_them(seed: Seed, file: Path) -> None:
    file.write_bytes(f'\ufeff{line("ada", "x")}\n{line("bob", "y")}'.replace('\n', '\r\n').encode())
    client = create_app(seed.url, users=str(file)).test_client()
    assert [ask(client, *pair).status_code for pair in (('ada', 'x'), ('bob', 'y'))] == [200, 200]


@pytest.mark.parametrize(('mode', 'warned'), [(0o640, False), (0o644, True)])
def test_who_may_read_the_file(
    seed: Seed, file: Path, mode: int, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    file.chmod(mode)
    create_app(seed.url, users=str(file))
    assert (f'Anybody on this machine may read the hashes in {file}' in caplog.text) == warned


def test_who_may_change_the_file(seed: Seed, file: Path) -> None:
    file.chmod(0o602)
    with pytest.raises(NotUsable, match='Anybody on this machine may add a user'):
        create_app(seed.url, users=str(file))


def test_a_file_that_is_missing(seed: Seed, tmp_path: Path) -> None:
    with pytest.raises(NotUsable, match='nowhere cannot be read: No such file or directory'):
        create_app(seed.url, users=str(tmp_path / 'nowhere'))


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hashes for which a password is checked."""
    tried: list[str] = []

    def check(stored: str, password: str) -> bool:
        tried.append(stored)
        return check_password_hash(stored, password)

    monkeypatch.setattr(users, 'check_password_hash', check)
    return tried


def test_an_unknown_user_takes_as_long_as_a_wrong_password(client: FlaskClient, file: Path, tried: list[str]) -> None:
    """Each costs one check of a hash of the file, also where the password is that of another user."""
    hashes = {text.partition(':')[2] for text in file.read_text().splitlines()}
    for name, password in {'ada': 'wrong', 'bob': 'wrong', 'eve': 'correct-horse', 'mal': 'pässwörd: 🔑'}.items():
        for answer in (ask(client, name, password) for _ in range(2)):
            assert (answer.status_code, 'The name or the password is wrong.' in answer.text) == (401, True)
        assert len(tried) == 2
        assert {*tried} <= hashes
        tried.clear()


def test_unknown_users_are_as_slow_as_all_users_are(file: Path, tried: list[str]) -> None:
    """Hashes of different ages differ in what they cost. Who is unknown must not always cost what the first does."""
    listed = users.Users(str(file))
    for number in range(100):
        with pytest.raises(users.Unauthorized):
            listed.name_of(Authorization('basic', {'username': f'user-{number}', 'password': ''}))
    assert len({*tried}) == 2


def test_a_password_is_checked_once(client: FlaskClient, tried: list[str]) -> None:
    for _ in range(5):
        ask(client, 'ada', 'correct-horse')
    assert len(tried) == 1


def test_whoever_tries_passwords_holds_up_nobody(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a password is checked, others are refused, and users who were let in before do not wait."""
    assert ask(client, 'ada', 'correct-horse').status_code == 200
    begun, may_end = threading.Event(), threading.Event()

    def check(stored: str, password: str) -> bool:
        begun.set()
        return may_end.wait(60) and False

    monkeypatch.setattr(users, 'check_password_hash', check)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, client, 'ada', 'wrong')
        assert begun.wait(60)
        refused = [ask(client, name, 'wrong') for name in ('ada', 'unknown') for _ in range(10)]
        assert {(answer.status_code, answer.headers['Retry-After']) for answer in refused} == {(429, '1')}
        assert ask(client, 'ada', 'correct-horse').status_code == 200
        assert client.get('/healthz').status_code == 200
        may_end.set()
        assert first.result().status_code == 401
    assert ask(client, 'ada', 'wrong').status_code == 401
