"""Whoever asks for metrics gets them, beside clients that are silent, slow or many."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from cadasta.workertoolbox.metrics import endpoint
from cadasta.workertoolbox.metrics.endpoint import Answer, health, serving
from rig.servers.process import PATIENCE, wait_until

from .scraping import get

pytestmark = pytest.mark.process

HALVES = (b'', b'G', b'GET /healthz HTTP/1.1\r\nHost: localhost\r\n')


def answer() -> Answer:
    return health(None)


def broken() -> Answer:
    raise RuntimeError


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    listener = socket.create_server(('127.0.0.1', 0))
    with serving(listener, {'/healthz': answer, '/broken': broken}):
        yield listener.getsockname()
    assert not [thread for thread in threading.enumerate() if thread.name == 'metrics']


def test_answers(address: tuple[str, int], capfd: pytest.CaptureFixture[str]) -> None:
    url = 'http://{}:{}'.format(*address)
    assert get(f'{url}/healthz?verbose') == (200, 'ok\n')
    assert get(f'{url}/') == (404, 'There is /healthz and /broken.\n')
    with pytest.raises(ConnectionError):
        get(f'{url}/broken')
    assert get(f'{url}/healthz') == (200, 'ok\n')
    assert capfd.readouterr() == ('', '')


def test_clients_that_are_silent(address: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint._Handler, 'timeout', 0.5)
    with ExitStack() as stack:
        halves = [stack.enter_context(socket.create_connection(address, PATIENCE)) for _ in range(endpoint.CLIENTS)]
        for number, half in enumerate(halves):
            half.sendall(HALVES[number % len(HALVES)])
        for half in halves:
            assert half.recv(4096) == b''


def test_no_more_clients_than_it_can_serve(address: tuple[str, int]) -> None:
    with ExitStack() as stack:
        others = [stack.enter_context(socket.create_connection(address, PATIENCE)) for _ in range(endpoint.CLIENTS + 2)]
        # Nobody has sent anything, and only those that are not served lose their connection.
        assert others[-1].recv(4096) == b''
        others[0].sendall(b'GET /healthz HTTP/1.0\r\n\r\n')
        assert others[0].recv(4096).startswith(b'HTTP/1.0 200')

    def is_served() -> bool:
        try:
            return get('http://{}:{}/healthz'.format(*address)) == (200, 'ok\n')
        except OSError:
            return False

    wait_until(is_served, 'an answer')
