"""Write a line for each request, in the common log format."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO
from urllib.parse import quote

from werkzeug.wsgi import ClosingIterator

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class AccessLog:
    """Writes who asked for which path, when, and what the answer was.

    A line has no query, because people look for names and ids of their customers in it, and no header.

    :param app: the application.
    :param stream: gets the lines.

    >>> import sys
    >>> from werkzeug.test import Client
    >>> from werkzeug.wrappers import Response
    >>> client = Client(AccessLog(Response('hi'), sys.stdout))
    >>> client.get('/tasks?find=ada').close()  # doctest: +ELLIPSIS
    - - - [...] "GET /tasks HTTP/1.1" 200 2
    """

    def __init__(self, app: 'WSGIApplication', stream: TextIO) -> None:
        self._app = app
        self._stream = stream

    def __call__(self, environ: 'WSGIEnvironment', start_response: 'StartResponse') -> Iterable[bytes]:
        came = datetime.now(UTC)
        answer = ['-', '-']

        def begin(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            answer[:] = status[:3], dict(headers).get('Content-Length', '-')
            return start_response(status, headers, *error)

        return ClosingIterator(self._app(environ, begin), lambda: self._write(environ, came, *answer))

    def _write(self, environ: 'WSGIEnvironment', came: datetime, status: str, size: str) -> None:
        # Behind the proxies and the check of users: they have written into the environment who asks.
        client, user = (_word(environ.get(name) or '-') for name in ('REMOTE_ADDR', 'REMOTE_USER'))
        path = _word(f'{environ.get("SCRIPT_NAME", "")}{environ.get("PATH_INFO", "")}', 'latin-1')
        method, protocol = (_word(environ[name]) for name in ('REQUEST_METHOD', 'SERVER_PROTOCOL'))
        self._stream.write(
            f'{client} - {user} [{came:%d/%b/%Y:%H:%M:%S %z}] "{method} {path} {protocol}" {status} {size}\n'
        )
        self._stream.flush()


def _word(text: str, encoding: str = 'utf-8') -> str:
    # A stranger cannot end a line or a field of it.
    return quote(text.encode(encoding), safe="/:@!$&'()*+,;=~[]")
