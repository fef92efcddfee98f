"""Answer Prometheus, and whoever asks for the health of a process, from a thread of their own."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from socket import socket
from socketserver import ThreadingTCPServer
from typing import Any, NamedTuple

#: So many clients are served at a time. The connections of others are closed.
CLIENTS = 10
#: A client that is silent for so long, in seconds, loses its connection.
SILENCE = 10.0

TEXT = 'text/plain; charset=utf-8'


class Answer(NamedTuple):
    """An answer to a request.

    :param status: its status in HTTP.
    :param kind: its ``Content-Type``.
    :param body: its text.
    """

    status: int
    kind: str
    body: bytes


def health(reason: str | None) -> Answer:
    """Say whether something is well.

    :param reason: why it is not, without a credential; `None` if it is.

    >>> health('The database is away'), health(None).status
    (Answer(status=503, kind='text/plain; charset=utf-8', body=b'The database is away\\n'), 200)
    """
    return Answer(200 if reason is None else 503, TEXT, f'{"ok" if reason is None else reason}\n'.encode())


@contextmanager
def serving(listener: socket, answers: Mapping[str, Callable[[], Answer]]) -> Iterator[None]:
    """Answer requests within a ``with`` block.

    :param listener: the socket that listens. It is closed in the end.
    :param answers: makes the answer for each path.
    """
    with _Server(listener, answers) as server:
        thread = threading.Thread(target=server.serve_forever, name='metrics', daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


class _Server(ThreadingTCPServer):
    # A client that reads slowly keeps no monitor from ending.
    daemon_threads = True

    def __init__(self, listener: socket, answers: Mapping[str, Callable[[], Answer]]) -> None:
        super().__init__(listener.getsockname(), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.answers = answers
        self._free = threading.BoundedSemaphore(CLIENTS)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        return self._free.acquire(blocking=False)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that went away."""


class _Handler(BaseHTTPRequestHandler):
    timeout = SILENCE
    server: _Server

    def do_GET(self) -> None:  # http.server calls it
        make = self.server.answers.get(self.path.partition('?')[0])
        answer = make() if make else Answer(404, TEXT, f'There is {" and ".join(self.server.answers)}.\n'.encode())
        self.send_response(answer.status)
        self.send_header('Content-Type', answer.kind)
        self.send_header('Content-Length', str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def version_string(self) -> str:
        return 'toolbox'

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # http.server names it so
        """Log nothing: Prometheus asks each few seconds."""
