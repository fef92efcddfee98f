"""The web application that serves the pages."""

import logging
import re
from collections.abc import Collection
from datetime import UTC, datetime

from flask import Flask, abort, render_template, request
from jinja2 import StrictUndefined
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from ..database.connection import engine
from ..errors import NotUsable
from . import texts
from .probes import probes
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


def create_app(url: str, show_arguments: bool = False, hosts: Collection[str] | None = LOOPBACK) -> Flask:
    """Make the application. It only reads, and it has no authentication.

    :param url: the URL of the database that has the tables. The application opens a connection for each page.
    :param show_arguments: whether to show arguments, results and tracebacks of tasks.
    :param hosts: the host names to which the application answers, without a port; `None` for any. An application on
        loopback must not answer to any name: a web site that its user visits could point a name of its own there and
        read the pages.
    :returns: the WSGI application.
    :raises NotUsable: where the URL is not that of a database that can hold the tables.

    >>> from cadasta.workertoolbox.database.upgrade import upgrade
    >>> upgrade('sqlite:///tasks.db')
    >>> client = create_app('sqlite:///tasks.db').test_client()
    >>> client.get('/').status
    '200 OK'
    >>> client.get('/', headers={'Host': 'rebound.example'}).status
    '400 BAD REQUEST'
    """
    engine(url)
    names = None if hosts is None else {_PORT.sub('', host).lower() for host in hosts}
    app = Flask(__name__)
    app.config.update(DATABASE=url, SHOW_ARGUMENTS=show_arguments)
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters.update(texts.FILTERS)
    app.context_processor(lambda: {'now': datetime.now(UTC)})
    app.url_map.merge_slashes = False
    app.register_blueprint(pages)
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

    @app.after_request
    def add_headers(response: Response) -> Response:
        response.headers.update(_HEADERS)
        if request.endpoint != 'static':
            response.headers['Cache-Control'] = 'no-store'
        return response

    app.register_error_handler(HTTPException, _error_page)
    app.register_error_handler(DBAPIError, _database_page)
    app.register_error_handler(NotUsable, _database_page)
    return app


def _error_page(error: HTTPException) -> Response:
    response = error.get_response()
    response.set_data(render_template('error.html', title=error.name, text=error.description))
    return response


def _database_page(error: DBAPIError | NotUsable) -> Response:
    reason = texts.reason(error)
    logger.error('%r: %s', request.path, reason)
    return Response(render_template('error.html', title='The database cannot be read', text=reason), 503)
