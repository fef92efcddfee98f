"""Refuse what a program asks, as RFC 9457 says: by a document that names the problem."""

import json
from http import HTTPStatus

from flask import request
from werkzeug.wrappers import Response

#: The first part of all addresses of the API.
PREFIX = '/api'
CONTENT_TYPE = 'application/problem+json'
#: The keys of the document, each with the type of its value.
KEYS = {'type': str, 'title': str, 'status': int, 'detail': str}


def is_asked() -> bool:
    """Tell whether the request is for the API, also where nothing has that address."""
    return f'{request.path}/'.startswith(f'{PREFIX}/')


def problem(response: Response, detail: str) -> Response:
    """Make the answer to a request that fails.

    :param response: has the status and the headers of the answer. It gets the document.
    :param detail: what is wrong, and what to change.

    >>> print(problem(Response(status=404), 'There is nothing here.').get_data(as_text=True).rstrip())
    {"type": "about:blank", "title": "Not Found", "status": 404, "detail": "There is nothing here."}
    """
    status = HTTPStatus(response.status_code)
    values = ('about:blank', status.phrase, status.value, detail)
    response.set_data(json.dumps(dict(zip(KEYS, values, strict=True))) + '\n')
    response.content_type = CONTENT_TYPE
    return response
