"""The description of the API names all that there is, and schemathesis finds nothing that it does not say."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.security import generate_password_hash

from cadasta.workertoolbox.ui.api.endpoints import ENDPOINTS
from cadasta.workertoolbox.ui.api.openapi import FAILURES
from cadasta.workertoolbox.ui.app import create_app
from rig.monitor.programs import Toolbox
from rig.servers.process import Processes

from .seed import NOW, Seed

#: What a stranger may have put into a task.
ODD: dict[str, Any] = {
    'name': '=cmd|\0\x1b',
    'args': [float('nan'), 10**300, '\ud800'],
    'kwargs': {'': [{}]},
    'timelimit': [float('inf'), None],
    'origin': '\u2028',
    'group_id': 'a/b?',
    'eta': NOW,
}


@pytest.fixture
def client(tmp_path: Path) -> FlaskClient:
    return create_app(f'sqlite:///{tmp_path}/tasks.db').test_client()


def described(client: FlaskClient, address: str = '/api/openapi.json') -> dict[str, Any]:
    found: dict[str, Any] = json.loads(client.get(address).text)
    return found


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from [value['$ref']] if '$ref' in value else []
        value = list(value.values())
    for item in value if isinstance(value, list) else []:
        yield from references(item)


def test_every_address_and_field(client: FlaskClient) -> None:
    document = described(client)
    rules = (rule.rule for rule in client.application.url_map.iter_rules() if rule.endpoint.startswith('api.'))
    assert {f'/api{path}' for path in document['paths']} == {re.sub(r'<\w+:(\w+)>', r'{\1}', rule) for rule in rules}
    for path, operations in document['paths'].items():
        assert list(operations) == ['get']
        found = operations['get']
        parameters = found.get('parameters', [])
        in_query = {parameter['name'] for parameter in parameters if parameter['in'] == 'query'}
        in_path = {parameter['name'] for parameter in parameters if parameter['in'] == 'path'}
        assert in_query == (ENDPOINTS[found['operationId']].fields.keys() if in_query else set())
        assert in_path == set(re.findall(r'\{(\w+)\}', path))
        assert all(parameter['description'] for parameter in parameters if parameter['in'] == 'query')
        expected = {'200', *map(str, FAILURES)} - (set() if in_path else {'404'})
        assert found['responses'].keys() == expected


def test_a_page_with_users(client: FlaskClient, tmp_path: Path) -> None:
    users = tmp_path / 'users'
    users.touch(0o600)
    users.write_text(f'ada:{generate_password_hash("right", "pbkdf2:sha256:1")}')
    client = create_app(client.application.config['DATABASE'], users=str(users)).test_client()
    refused = client.get('/api/tasks')
    assert (refused.status_code, refused.content_type) == (401, 'application/problem+json')
    assert refused.headers['WWW-Authenticate'].startswith('Basic ')
    document = json.loads(client.get('/api/openapi.json', auth=('ada', 'right')).text)
    assert [*document['components']['securitySchemes']] == [*document['security'][0]]
    for operations in document['paths'].values():
        assert {'401', '429'} <= operations['get']['responses'].keys()


def test_references(client: FlaskClient) -> None:
    document = described(client)
    for reference in references(document):
        part: Any = document
        for name in reference.removeprefix('#/').split('/'):
            part = part[name]
        assert part


def test_keys_that_are_private(client: FlaskClient) -> None:
    def keys(client: FlaskClient, row: str) -> set[str]:
        return set(described(client)['components']['schemas'][row]['properties'])

    shown = create_app(client.application.config['DATABASE'], show_arguments=True).test_client()
    private = {'args', 'kwargs', 'options', 'result', 'traceback'}
    assert keys(shown, 'TaskInFull') - keys(client, 'TaskInFull') == private
    assert keys(shown, 'Failure') - keys(client, 'Failure') == {'message'}
    assert not private & keys(shown, 'Task')


def test_texts_are_those_of_the_code(client: FlaskClient) -> None:
    schemas = described(client)['components']['schemas']
    assert schemas['Failure']['properties']['first']['description'] == 'When the first of them failed.'
    assert schemas['Now']['properties']['queues']['items']['properties']['idle'] == {
        'type': 'number',
        'description': 'For how long nobody has started any of these, in seconds.',
    }
    assert not re.search(r'``|:param|\n', json.dumps(schemas))


def test_fields_are_described_by_the_rules_by_which_they_are_read(client: FlaskClient) -> None:
    parameters = described(client)['paths']['/tasks']['get']['parameters']
    found = {parameter['name']: parameter['schema'] for parameter in parameters}
    assert found['find'] == {'type': 'string'}
    assert found['newer'] == {'type': 'string', 'pattern': '^([0-9]{1,5}[smhd]|[0-9]{1,4}w|[0-9]{1,3}y)$'}
    assert found['format'] == {'type': 'string', 'enum': ['json', 'csv'], 'default': 'json'}
    assert found['limit'] == {'type': 'integer', 'minimum': 1, 'maximum': 1000, 'default': 50}


def test_only_what_goes_on_has_a_link(client: FlaskClient) -> None:
    operations = {path: operations['get'] for path, operations in described(client)['paths'].items()}
    assert {path for path, found in operations.items() if 'Link' in found['responses']['200'].get('headers', ())} == {
        '/tasks',
        '/workflows/{task_id}',
    }


def test_addresses_are_those_of_the_server(client: FlaskClient) -> None:
    behind = client.get('/api/openapi.json', environ_overrides={'SCRIPT_NAME': '/toolbox'})
    assert json.loads(behind.text)['servers'] == [{'url': '/toolbox/api'}]


def test_schemathesis(toolbox: Toolbox, seed: Seed, processes: Processes, tmp_path: Path) -> None:
    """It asks the real server, in all ways that the description allows, and in others."""
    seed.project()
    seed.hostile()
    seed.worker('export@host')
    seed.worker('gone@host', age=3_600)
    seed.task('a/b?', 'FAILURE', 5, result=b'{"exc_type": "KeyError", "exc_message": ["7"]}', **ODD)
    seed.task('lost', 'STARTED', 4_000, lease=NOW - timedelta(seconds=3_900), result=b'\xff')
    seed.result('untracked', 'SUCCESS', result=b'NaN')
    url = toolbox.start('ui', '--port', '0', TOOLBOX_SHOW_ARGUMENTS='1').wait_for(r'^http://\S+/$')[0]
    judge = processes.start(
        [
            *(str(Path(sys.executable).with_name('schemathesis')), 'run', f'{url}api/openapi.json'),
            *('--phases', 'coverage,fuzzing', '--max-examples', '10', '--seed', '7', '--continue-on-failure'),
        ],
        toolbox.environment,
        tmp_path,
    )
    assert judge.wait() == 0, judge.log
    assert 'No issues found' in judge.log
