"""Serve the page under a path of a site that has other pages, too."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from werkzeug.exceptions import NotFound

from ..errors import SettingError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# A browser leaves out a segment of dots, and takes what follows two slashes for a host.
_PREFIX = re.compile(r'(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)*')


def path_of(prefix: str) -> str:
    """Read a prefix.

    :param prefix: the prefix, with a slash at its end or without one.
    :returns: the prefix without a slash at its end; nothing for the root of the site.
    :raises SettingError: where it is no path.

    >>> path_of('/queue/'), path_of('/')
    ('/queue', '')
    >>> path_of('//evil.example')
    Traceback (most recent call last):
        ...
    cadasta.workertoolbox.errors.SettingError: '//evil.example' is no prefix of paths. Write it /queue or /ops/queue, \
from letters, digits and . _ ~ -
    """
    path = prefix.removesuffix('/')
    if _PREFIX.fullmatch(path) is None:
        raise SettingError(
            f'{prefix!r} is no prefix of paths. Write it /queue or /ops/queue, from letters, digits and . _ ~ -'
        )
    return path


def below(path: str, app: 'WSGIApplication') -> 'WSGIApplication':
    """Serve an application below a path. All else is not found.

    :param path: the path, as `path_of` returns it.
    :param app: the application.
    """

    def serve(environ: 'WSGIEnvironment', start_response: 'StartResponse') -> Iterable[bytes]:
        asked = environ['PATH_INFO']
        if not f'{asked}/'.startswith(f'{path}/'):
            return NotFound(f'The page is at {path}/.')(environ, start_response)
        environ['SCRIPT_NAME'] = environ.get('SCRIPT_NAME', '') + path
        # Werkzeug would answer an empty path with a redirect to a whole URL, and does not know that the proxy has TLS.
        environ['PATH_INFO'] = asked.removeprefix(path) or '/'
        return app(environ, start_response)

    return serve if path else app
