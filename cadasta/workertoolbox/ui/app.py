"""The web application that serves the pages."""

import logging
import re
from collections.abc import Collection
from datetime import UTC, datetime
from typing import TextIO

from flask import Flask, abort, render_template, request
from jinja2 import StrictUndefined
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from ..database.connection import engine
from ..errors import NotUsable, SettingError
from . import arguments, texts
from .access_log import AccessLog
from .api.problems import is_asked, problem
from .api.routes import api
from .ids import IdConverter
from .prefix import below, path_of
from .probes import probes
from .proxies import TrustedProxies
from .users import Users, ask_for_users
from .views import pages

logger = logging.getLogger(__name__)

#: Only this machine can have these names.
LOOPBACK = ('localhost', '127.0.0.1', '[::1]')

_PORT = re.compile(r':\d+$')
_HEADERS = {
    'Content-Security-Policy': "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Referrer-Policy': 'same-origin',
    'X-Content-Type-Options': 'nosniff',
}


def create_app(
    url: str,
    show_arguments: bool = False,
    hosts: Collection[str] | None = LOOPBACK,
    *,
    prefix: str = '/',
    users: str | None = None,
    trusted_proxies: Collection[str] = (),
    arguments_for: Collection[str] = (),
    access_log: TextIO | None = None,
) -> Flask:
    """Make the application. It only reads, and it lets anybody in unless it has users.

    :param url: the URL of the database that has the tables. The application opens a connection for each page.
    :param show_arguments: whether to show arguments, results and tracebacks of tasks.
    :param hosts: the host names to which the application answers, without a port; `None` for any. An application on
        loopback must not answer to any name: a web site that its user visits could point a name of its own there and
        read the pages.
    :param prefix: the path below which the pages are, such as ``/queue``. A proxy passes it on.
    :param users: a file with the users who may see the pages: on each line a name, a colon, and a hash that
        ``werkzeug.security.generate_password_hash`` made. Everybody may see ``/healthz``.
    :param trusted_proxies: the addresses or networks of the proxies that tell the client's address, by
        ``X-Forwarded-For``, and the headers of ``arguments_for``.
    :param arguments_for: headers with which a trusted proxy says who sees arguments, results and tracebacks, each as
        ``HEADER=VALUE``.
    :param access_log: gets a line for each request, in the common log format, without the query.
    :returns: the WSGI application.
    :raises NotUsable: where the URL is not that of a database that can hold the tables, or the file of users cannot be
        used.
    :raises SettingError: where a prefix, a proxy or a header cannot be understood.

    >>> from cadasta.workertoolbox.database.upgrade import upgrade
    >>> upgrade('sqlite:///tasks.db')
    >>> client = create_app('sqlite:///tasks.db').test_client()
    >>> client.get('/').status
    '200 OK'
    >>> client.get('/', headers={'Host': 'rebound.example'}).status
    '400 BAD REQUEST'
    """
    engine(url)
    if arguments_for and not trusted_proxies:
        raise SettingError('Anybody could send a header that shows arguments. Say which proxy to trust: --trust-proxy.')
    names = None if hosts is None else {_PORT.sub('', host).lower() for host in hosts}
    app = Flask(__name__)
    app.config.update(DATABASE=url, HAS_USERS=users is not None)
    arguments.decide(app, show_arguments, arguments_for)
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters.update(texts.FILTERS)
    app.context_processor(lambda: {'now': datetime.now(UTC)})
    app.url_map.merge_slashes = False
    app.url_map.converters['id'] = IdConverter
    app.register_blueprint(pages)
    app.register_blueprint(api)
    app.register_blueprint(probes)

    @app.before_request
    def refuse_other_names() -> None:
        name = _PORT.sub('', request.host)
        if names is not None and name.lower() not in names:
            abort(
                400,
                f'This page does not answer to the host name {name!r}. If a proxy or a name server of yours uses it, '
                'start the page with `celery toolbox ui --allow-host NAME`, or with the variable TOOLBOX_ALLOW_HOST.',
            )

    if users is not None:
        ask_for_users(app, Users(users))

    @app.after_request
    def add_headers(response: Response) -> Response:
        response.headers.update(_HEADERS)
        if request.endpoint != 'static':
            response.headers['Cache-Control'] = 'no-store'
        return response

    app.register_error_handler(HTTPException, _error_page)
    app.register_error_handler(DBAPIError, _database_page)
    app.register_error_handler(NotUsable, _database_page)
    served = below(path_of(prefix), app.wsgi_app)
    if trusted_proxies:
        served = TrustedProxies(served, trusted_proxies)
    if access_log is not None:
        served = AccessLog(served, access_log)
    app.wsgi_app = served  # type: ignore[assignment, method-assign]  # Flask lets applications replace it
    return app


def _error_page(error: HTTPException) -> Response:
    response = error.get_response()
    if is_asked():
        return problem(response, error.description or error.name)
    response.set_data(render_template('error.html', title=error.name, text=error.description))
    return response


def _database_page(error: DBAPIError | NotUsable) -> Response:
    reason, title = texts.reason(error), 'The database cannot be read'
    logger.error('%r: %s', request.path, reason)
    if is_asked():
        return problem(Response(status=503), f'{title}: {reason}')
    return Response(render_template('error.html', title=title, text=reason), 503)
