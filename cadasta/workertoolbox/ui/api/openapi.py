"""Describe the API as OpenAPI does, from what its code reads and writes."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from ... import __version__
from .answers import FORMATS
from .endpoints import Endpoint
from .problems import CONTENT_TYPE, KEYS
from .schemas import schema

#: Each status with which a request fails, and when it does.
FAILURES = {
    400: 'A field or its value is none, or the host name is none to which the page answers.',
    404: 'There is no such task.',
    405: 'The API only reads.',
    406: 'The header `Accept` leaves out the format.',
    500: 'The page has an error of its own, which its log has.',
    503: 'The database cannot be read.',
}
#: The same where the page has users.
FAILURES_OF_USERS = {
    401: 'There is no name and password, or they are wrong.',
    429: 'Another password is being checked. `Retry-After` says when to try again.',
}
_BASIC = 'basic'
# The identifier of the document itself, beside the names of the endpoints.
_ITSELF = 'openapi'
_DESCRIPTION = (
    'Every page as data. The field `format` chooses JSON or CSV. A text that a spreadsheet would take for a formula '
    "begins with an apostrophe in CSV. Times are in UTC. Where a list goes on, the header `Link` has the next rows' "
    'address, and so has `next` in JSON.'
)
_VARIABLE = re.compile(r'<(?:\w+:)?(\w+)>')


def openapi(endpoints: Mapping[str, Endpoint], arguments: bool, users: bool, address: str) -> dict[str, Any]:
    """Make the document.

    :param endpoints: the endpoints, by name.
    :param arguments: whether whoever reads it may see arguments of tasks.
    :param users: whether the page asks for a name and a password.
    :param address: the address of the API.
    """
    failures = {**FAILURES, **(FAILURES_OF_USERS if users else {})}
    operations = {path(endpoint): _operation(name, endpoint, failures) for name, endpoint in endpoints.items()}
    operations['/openapi.json'] = _of_itself(failures)
    return {
        'openapi': '3.1.0',
        'info': {'title': 'Cadasta Worker Toolbox', 'version': __version__, 'description': _DESCRIPTION},
        'servers': [{'url': address}],
        'security': [{_BASIC: []}] if users else [],
        'paths': {path: {'get': operation} for path, operation in operations.items()},
        'components': {
            'schemas': {
                'Problem': schema(KEYS),
                **{endpoint.row: schema(endpoint.keys(arguments)) for endpoint in endpoints.values()},
            },
            'responses': {_name(status): _failure(text) for status, text in failures.items()},
            'securitySchemes': {_BASIC: {'type': 'http', 'scheme': 'basic'}} if users else {},
        },
    }


def path(endpoint: Endpoint) -> str:
    """Give the address of an endpoint as OpenAPI writes it."""
    return _VARIABLE.sub(r'{\1}', endpoint.rule)


def _operation(name: str, endpoint: Endpoint, failures: Mapping[int, str]) -> dict[str, Any]:
    return {
        'operationId': name,
        'summary': endpoint.summary,
        'parameters': [
            *(
                {'name': variable, 'in': 'path', 'required': True, 'schema': {'type': 'string'}}
                for variable in _VARIABLE.findall(endpoint.rule)
            ),
            *(
                {'name': name, 'in': 'query', 'description': field.text, 'schema': field.schema}
                for name, field in endpoint.fields.items()
            ),
        ],
        'responses': {'200': _rows(endpoint), **_failures(failures, bool(_VARIABLE.search(endpoint.rule)))},
    }


def _of_itself(failures: Mapping[int, str]) -> dict[str, Any]:
    content = {FORMATS['json']: {'schema': {'type': 'object'}}}
    return {
        'operationId': _ITSELF,
        'summary': 'This document.',
        'responses': {'200': {'description': 'The document.', 'content': content}, **_failures(failures, False)},
    }


def _failures(failures: Mapping[int, str], is_of_task: bool) -> dict[str, Any]:
    return {
        str(status): {'$ref': f'#/components/responses/{_name(status)}'}
        for status in failures
        if is_of_task or status != HTTPStatus.NOT_FOUND
    }


def _rows(endpoint: Endpoint) -> dict[str, Any]:
    row = {'$ref': f'#/components/schemas/{endpoint.row}'}
    document: dict[str, Any] = dict(row)
    if endpoint.key is not None:
        document = schema(endpoint.around)
        document['properties'] = {endpoint.key: {'type': 'array', 'items': row}, **document['properties']}
        document['required'] = [endpoint.key, *document['required']]
    found: dict[str, Any] = {
        'description': endpoint.summary,
        'content': {FORMATS['json']: {'schema': document}, FORMATS['csv']: {'schema': {'type': 'string'}}},
    }
    if 'next' in endpoint.around:
        found['headers'] = {'Link': {'description': 'The address of the next rows.', 'schema': {'type': 'string'}}}
    return found


def _failure(text: str) -> dict[str, Any]:
    content = {CONTENT_TYPE: {'schema': {'$ref': '#/components/schemas/Problem'}}}
    return {'description': text, 'content': content}


def _name(status: int) -> str:
    return HTTPStatus(status).phrase.replace(' ', '')
