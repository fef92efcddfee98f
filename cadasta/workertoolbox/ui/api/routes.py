"""Answer the programs that ask for data."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, current_app, request, url_for
from werkzeug.wrappers import Response

from .. import arguments
from .answers import DEFAULT, FORMATS, as_csv, as_json, dumped, media_type, response
from .endpoints import ENDPOINTS, Endpoint
from .fields import given
from .openapi import openapi
from .problems import PREFIX

api = Blueprint('api', __name__, url_prefix=PREFIX)


def _view(name: str, endpoint: Endpoint) -> Callable[..., Response]:
    def view(**variables: Any) -> Response:
        asked = given(endpoint.fields)
        format_ = asked.get('format', DEFAULT)
        kind = media_type(format_)
        found = endpoint.find(asked, **variables)
        is_table = format_ == 'csv'
        chunks = as_csv(found, endpoint.keys(arguments.are_shown())) if is_table else as_json(found, endpoint.key)
        return response(chunks, kind, name, found.around.get('next'))

    return view


for _name, _endpoint in ENDPOINTS.items():
    api.add_url_rule(_endpoint.rule, _name, _view(_name, _endpoint))


@api.get('/openapi.json')
def document() -> Response:
    given({})
    kind = media_type(DEFAULT)
    address = url_for('api.document').rpartition('/')[0]
    described = openapi(ENDPOINTS, arguments.are_shown(), current_app.config['HAS_USERS'], address)
    return response([dumped(described)], kind, 'openapi', None)


@api.app_context_processor
def links() -> dict[str, Any]:
    """Give the templates what links a page to its data."""
    return {'as_data': as_data}


def as_data() -> list[tuple[str, dict[str, str]]]:
    """List the endpoints that have the data of the page that is asked for.

    :returns: for each, what it is, and the addresses of its formats.
    """
    found = []
    for name, endpoint in ENDPOINTS.items():
        if request.endpoint == f'pages.{endpoint.page}':
            values: dict[str, Any] = {
                field: value
                for field, value in request.args.items()
                if value and field in endpoint.fields and not endpoint.fields[field].problem(value)
            }
            values = {**values, **(request.view_args or {})}
            addresses = {form.upper(): url_for(f'api.{name}', **values, format=form) for form in FORMATS}
            found.append((name, addresses))
    return found
