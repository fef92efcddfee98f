"""Every page as data: the same keys as the commands, and nothing that a program cannot read."""

from __future__ import annotations

import csv
import json
import re
import tracemalloc
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any, get_args

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cadasta.workertoolbox.database.tables import task
from cadasta.workertoolbox.tracked import Count, Failure, ReportedWorker, TaskStats, TrackedTask
from cadasta.workertoolbox.tracked.documents import Row, document, keys
from cadasta.workertoolbox.ui import filters, workflow
from cadasta.workertoolbox.ui.api import endpoints
from cadasta.workertoolbox.ui.api.endpoints import ENDPOINTS
from cadasta.workertoolbox.ui.app import create_app
from rig.monitor.databases import TaskDatabase
from rig.servers.process import free_port

from .seed import NOW, SECRET, Seed

ADDRESSES = {
    'now': '/api/now',
    'tasks': '/api/tasks',
    'task': '/api/tasks/message',
    'workflow': '/api/workflows/message',
    'failures': '/api/failures',
    'names': '/api/names',
    'workers': '/api/workers',
    'counts': '/api/counts',
}
PROBLEM = 'application/problem+json'
REFUSED = [
    ('tasks?newer=yesterday', "newer: 'yesterday' is not written like 30s, 15m, 2h, 3d, 1w or 1y."),
    ('tasks?older=', "older: '' is not written like 30s"),
    ('tasks?older=%D9%A3h', 'is not written like 30s'),
    ('tasks?before=2026-11-22,7', "before: '2026-11-22,7' is not written like 1795359845000000,ID."),
    ('tasks?before=123456789012345678,7', 'is not written like'),
    ('tasks?limit=0', "limit: '0' is no whole number from 1 to 1,000."),
    ('tasks?limit=1001', 'is no whole number'),
    ('tasks?limit=%D9%A3', 'is no whole number'),
    ('tasks?limit=1e3', 'is no whole number'),
    ('tasks?limit=' + '9' * 5_000, 'is no whole number'),
    ('tasks?stat=FAILURE', "There is no field 'stat'. The fields are: find, state, standing, queue, "),
    ('tasks?state=A&state=B', 'state: give one value, and not 2.'),
    ('tasks?format=xml', "format: 'xml' is none of json, csv."),
    ('counts?window=year', "window: 'year' is none of hour, day, week."),
    ('workflows/7?first=0', 'first: '),
    ('openapi.json?format=csv', "There is no field 'format'. "),
]


@pytest.fixture
def shown(seed: Seed) -> FlaskClient:
    return create_app(seed.url, show_arguments=True).test_client()


def refuse_constant(name: str) -> None:
    raise AssertionError(f'{name} is no JSON')


def read(response: TestResponse) -> Any:
    assert response.status_code == 200, response.text
    assert response.content_type == 'application/json'
    return json.loads(response.data.decode(), parse_constant=refuse_constant)


def table(response: TestResponse) -> list[dict[str, str]]:
    assert response.status_code == 200, response.text
    assert response.content_type == 'text/csv; charset=utf-8; header=present'
    return list(csv.DictReader(StringIO(response.data.decode(), newline='')))


def detail(response: TestResponse, status: int) -> str:
    """What is wrong, by a document that has the status of the response."""
    assert response.status_code == status
    assert response.content_type == PROBLEM
    found = json.loads(response.text)
    assert (found['type'], found['status']) == ('about:blank', status)
    assert response.status == f'{status} {found["title"].upper()}'
    return str(found['detail'])


def fill(seed: Seed) -> None:
    """Adds what gives each endpoint a row."""
    seed.project()
    seed.worker('export@host')
    seed.worker('gone@host', age=3_600)


class TestEveryPage:
    def test_there_is_an_endpoint_for_each(self, client: FlaskClient) -> None:
        rules = {rule.endpoint for rule in client.application.url_map.iter_rules()}
        pages = {name.removeprefix('pages.') for name in rules if name.startswith('pages.')}
        assert pages == {endpoint.page for endpoint in ENDPOINTS.values()}
        assert ADDRESSES.keys() == ENDPOINTS.keys()

    @pytest.mark.parametrize('show_arguments', [False, True])
    def test_keys(self, seed: Seed, show_arguments: bool) -> None:
        fill(seed)
        client = create_app(seed.url, show_arguments).test_client()
        for name, endpoint in ENDPOINTS.items():
            found = read(client.get(ADDRESSES[name]))
            rows = [found]
            if endpoint.key:
                rows = found.pop(endpoint.key)
                assert list(found) == list(endpoint.around)
            assert rows
            expected = list(endpoint.keys(show_arguments))
            assert all(list(row) == expected for row in rows)
            lines = table(client.get(ADDRESSES[name], query_string={'format': 'csv'}))
            assert [list(line) for line in lines] == [expected] * len(rows)

    def test_the_page_links_to_its_data(self, client: FlaskClient, seed: Seed) -> None:
        fill(seed)
        for name, address in ADDRESSES.items():
            page = client.get(
                {'now': '/', 'task': '/tasks/message', 'workflow': '/tasks/message'}.get(name, f'/{name}')
            )
            assert f'<a rel="alternate" href="{address}?format=json">JSON</a>' in page.text
            assert f'<a rel="alternate" href="{address}?format=csv">CSV</a>' in page.text

    def test_the_link_asks_for_what_the_page_shows(self, client: FlaskClient, seed: Seed) -> None:
        fill(seed)
        page = client.get('/tasks?state=FAILURE&queue=&newer=2h&other=1').text
        (address,) = re.findall('href="([^"]*format=json)"', page)
        rows = read(client.get(address.replace('&amp;', '&')))['tasks']
        assert [row['task_id'] for row in rows] == ['message']
        assert 'other' not in address
        assert 'newer' not in re.findall('href="([^"]*format=json)"', client.get('/tasks?newer=x').text)[0]

    def test_no_link_leads_to_nothing(self, client: FlaskClient, seed: Seed) -> None:
        seed.task('sender', options={'chain': [{'task': 'later', 'options': {'task_id': 'unsent'}}]})
        page = client.get('/tasks/unsent').text
        assert 'href="/api/workflows/unsent?format=json"' in page
        assert '/api/tasks/unsent' not in page
        assert '/api' not in client.get('/tasks/unknown').text

    def test_heads_and_headers(self, client: FlaskClient, seed: Seed) -> None:
        fill(seed)
        for address in [*ADDRESSES.values(), '/api/openapi.json', '/api/nowhere']:
            for response in (client.get(address), client.head(address)):
                assert response.headers['Cache-Control'] == 'no-store'
                assert response.headers['X-Content-Type-Options'] == 'nosniff'
                assert response.headers['Content-Security-Policy'].startswith("default-src 'none'; ")
            assert response.data == b''


class TestSameKeysAsTheCommands:
    @pytest.mark.parametrize('arguments', [False, True])
    def test_documents_have_the_keys_that_are_told(self, arguments: bool) -> None:
        rows: list[Row] = [
            TrackedTask('1', 'SUCCESS', result=b'"x"'),
            Failure('n', 'KeyError', 'x', 1, 1.0, NOW, NOW, '1'),
            TaskStats('n', 1, 1.0, 0, None, None, None, None, None),
            ReportedWorker('b', 'alive', 'n', 'h', 1, [], 'solo', 1, 0, 0, 0, {}, NOW, NOW, None),
            Count(NOW, 'SUCCESS', None, 1),
        ]
        assert {type(row) for row in rows} == set(get_args(Row))
        for row in rows:
            kind: Any = type(row)
            assert list(document(row, arguments)) == list(keys(kind, arguments))

    def test_a_list_has_what_a_task_has(self, client: FlaskClient, seed: Seed) -> None:
        fill(seed)
        listed = {row['task_id']: row for row in read(client.get('/api/tasks'))['tasks']}
        alone = read(client.get('/api/tasks/message'))
        assert {**listed['message'], 'cut': []} == alone
        assert alone['error'] == 'ValueError'
        assert alone['duration'] == 8


class TestTasks:
    @pytest.mark.parametrize(
        ('query', 'found'),
        [
            ('state=FAILURE', ['message']),
            ('find=msg.*', ['message']),
            ('find=layer-1', ['layer-1']),
            ('root=project&state=SUCCESS', ['layer-0', 'project']),
            ('newer=2h&queue=+msg+', ['message']),
            ('older=2h', []),
            ('error=ValueError&limit=1000', ['message']),
            ('limit=1', ['archive']),
            ('standing=', ['archive', 'message', 'layer-2', 'layer-1', 'layer-0', 'project']),
        ],
    )
    def test_fields(self, client: FlaskClient, seed: Seed, query: str, found: list[str]) -> None:
        seed.project()
        assert [row['task_id'] for row in read(client.get(f'/api/tasks?{query}'))['tasks']] == found

    def test_the_fields_are_those_of_the_page(self) -> None:
        assert ENDPOINTS['tasks'].fields.keys() - {'before', 'limit', 'format'} == filters.FIELDS.keys()

    @pytest.mark.parametrize('kind', ['json', 'csv'])
    def test_pages(self, client: FlaskClient, seed: Seed, kind: str) -> None:
        expected = [seed.task(f'export,{number}', age=number // 2) for number in range(7)]
        expected += ['untracked,b', 'untracked,a']
        for name in expected[-2:]:
            seed.result(name, 'SUCCESS')
        address, found, pages = f'/api/tasks?limit=2&format={kind}', [], 0
        while address:
            response = client.get(address)
            link = response.headers.get('Link')
            address = re.fullmatch('<(.*)>; rel="next"', link)[1] if link else ''  # type: ignore[index]  # must match
            if kind == 'json':
                document = read(response)
                rows = document['tasks']
                assert document['next'] == (address or None)
            else:
                rows = table(response)
            found += [row['task_id'] for row in rows]
            pages += 1
        assert (pages, sorted(found)) == (5, sorted(expected))
        assert found[-2:] == expected[-2:]

    def test_a_task_that_is_away_is_no_end_of_the_list(self, client: FlaskClient, seed: Seed) -> None:
        """A place in the list needs no task that is still there."""
        for number in range(4):
            seed.task(str(number), age=number)
        following = read(client.get('/api/tasks?limit=2'))['next']
        with seed.engine.begin() as connection:
            connection.execute(sa.delete(task).where(task.c.task_id == '1'))
        assert [row['task_id'] for row in read(client.get(following))['tasks']] == ['2', '3']


class TestTask:
    def test_arguments_are_private(self, client: FlaskClient, shown: FlaskClient, seed: Seed) -> None:
        fill(seed)
        error = f'{{"exc_type": "KeyError", "exc_message": ["{SECRET}"]}}'.encode()
        columns: dict[str, Any] = {'args': [SECRET], 'kwargs': {SECRET: 1}, 'options': {'argsrepr': SECRET}}
        seed.task('private', 'FAILURE', 60, result=error, traceback=SECRET, **columns)
        addresses = [*ADDRESSES.values(), '/api/tasks/private', '/api/workflows/private']
        for address in addresses:
            for kind in ('json', 'csv'):
                assert SECRET not in client.get(address, query_string={'format': kind}).text
        for address in ('/api/tasks', '/api/workflows/private'):
            assert SECRET not in shown.get(address).text
        found = read(shown.get('/api/tasks/private'))
        assert {name: found[name] for name in columns} == columns
        assert (found['traceback'], json.loads(found['result'])['exc_message']) == (SECRET, [SECRET])
        assert SECRET in shown.get('/api/failures').text
        assert SECRET in shown.get('/api/now').text

    def test_odd_ids(self, client: FlaskClient, seed: Seed) -> None:
        for name in ('a/b', 'a b?&#%', 'é', '..'):
            seed.task(name)
            found = read(client.get('/api/tasks/' + ''.join(f'%{byte:02X}' for byte in name.encode())))
            assert found['task_id'] == name

    def test_values_are_cut(self, shown: FlaskClient, seed: Seed, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(endpoints, 'LONGEST', 30)
        seed.task('7', 'SUCCESS', args=['x' * 100], kwargs={'a': 1}, result='"ééééééééééééééééééé"'.encode())
        found = read(shown.get('/api/tasks/7'))
        assert found['cut'] == ['args', 'result']
        assert found['args'] == '["' + 'x' * 28
        assert found['kwargs'] == {'a': 1}
        assert found['result'] == '"' + 'é' * 14
        seed.task('8', 'SUCCESS', result=b'\xff' + b'x' * 40)
        assert read(shown.get('/api/tasks/8'))['result'] == '41 bytes'

    def test_unknown(self, client: FlaskClient) -> None:
        said = detail(client.get('/api/tasks/7'), 404)
        assert said == "There is neither a task nor a result with the id '7'."
        assert "the id '7', and none that mentions it" in detail(client.get('/api/workflows/7'), 404)


class TestWorkflow:
    def test_from_the_top_down(self, client: FlaskClient, seed: Seed) -> None:
        seed.project()
        found = read(client.get('/api/workflows/archive'))
        assert (found['state'], found['total'], found['first'], found['next']) == ('FAILURE', 6, 1, None)
        assert [(row['task_id'], row['depth']) for row in found['tasks']] == [
            ('project', 0),
            ('layer-0', 1),
            ('message', 2),
            ('archive', 3),
            ('layer-1', 1),
            ('layer-2', 1),
        ]

    def test_pages(self, client: FlaskClient, seed: Seed, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(workflow, 'LIMIT', 4)
        seed.project()
        first = read(client.get('/api/workflows/archive'))
        assert len(first['tasks']) == 4
        response = client.get(first['next'])
        rest = read(response)
        assert [row['task_id'] for row in rest['tasks']] == ['layer-1', 'layer-2']
        assert (rest['first'], rest['next'], 'Link' in response.headers) == (5, None, False)

    def test_a_task_that_is_yet_to_be_sent(self, client: FlaskClient, seed: Seed) -> None:
        seed.task('sender', options={'chain': [{'task': 'later', 'options': {'task_id': 'unsent'}}]})
        assert [row['task_id'] for row in read(client.get('/api/workflows/unsent'))['tasks']] == ['sender']


class TestOthers:
    def test_now(self, client: FlaskClient, seed: Seed) -> None:
        fill(seed)
        seed.task('7', 'FAILURE', 30, result=b'{"exc_type": "KeyError"}')
        found = read(client.get('/api/now'))
        assert (found['workers'], found['lost'], found['rejected'], found['more_queues']) == (1, 0, 0, 0)
        assert [worker['name'] for worker in found['silent']] == ['gone@host']
        assert 'KeyError' in [failure['error'] for failure in found['failures']]
        assert [(queue['key'], queue['consumers']) for queue in found['queues']] == [('export', 1), ('msg', 1)]
        assert (len(found['scheduled']), sum(found['failed'])) == (60, 1)

    def test_windows(self, client: FlaskClient, seed: Seed) -> None:
        for age in (60, 5 * 3_600, 5 * 86_400, 50 * 86_400):
            seed.task(str(age), 'FAILURE', age=age)
        for window, tasks in (('hour', 1), ('day', 2), ('week', 3)):
            for name, key in (('counts', 'tasks'), ('names', 'count'), ('failures', 'count')):
                found = read(client.get(f'/api/{name}?window={window}'))
                assert found['window'] == window
                assert sum(row[key] for row in found[name]) == tasks
        counts = read(client.get('/api/counts'))
        assert counts['bar'] == 1_800
        since = datetime.fromisoformat(counts['since'])
        assert all(
            (datetime.fromisoformat(row['start']) - since) % timedelta(minutes=30) == timedelta()
            for row in counts['counts']
        )


class TestRefusals:
    def test_fields(self, client: FlaskClient) -> None:
        for address, said in REFUSED:
            assert said in detail(client.get(f'/api/{address}'), 400)

    def test_odd_values(self, client: FlaskClient, seed: Seed) -> None:
        seed.task('1')
        for field in filters.FIELDS.keys() - filters.AGES:
            for value in ('%00', '%ff', '%27%20OR%201=1--', '%25', 'x' * 10_000):
                assert read(client.get(f'/api/tasks?{field}={value}')) == {'tasks': [], 'next': None}

    def test_nothing_is_there(self, client: FlaskClient) -> None:
        for address in ('/api', '/api/', '/api/nowhere', '/api/tasks/', '/api//tasks', '/api/now/'):
            detail(client.get(address), 404)

    def test_the_pages_keep_their_errors(self, client: FlaskClient) -> None:
        for address in ('/apiary', '/tasks/api/'):
            response = client.get(address)
            assert (response.status_code, response.mimetype) == (404, 'text/html')

    def test_reads_only(self, client: FlaskClient) -> None:
        for address in (*ADDRESSES.values(), '/api/openapi.json'):
            for method in ('POST', 'PUT', 'PATCH', 'DELETE'):
                response = client.open(address, method=method)
                detail(response, 405)
                assert set(response.headers['Allow'].split(', ')) == {'GET', 'HEAD', 'OPTIONS'}

    @pytest.mark.parametrize(
        ('accept', 'formats'),
        [
            ('', {'json', 'csv'}),
            ('*/*', {'json', 'csv'}),
            ('text/html, */*;q=0.1', {'json', 'csv'}),
            ('application/json', {'json'}),
            ('application/json; charset=utf-8', {'json'}),
            ('application/*', {'json'}),
            ('text/csv, application/json;q=0', {'csv'}),
            ('text/html', set()),
            ('anything', set()),
        ],
    )
    def test_what_the_client_accepts(self, client: FlaskClient, accept: str, formats: set[str]) -> None:
        for kind in ('json', 'csv'):
            response = client.get(f'/api/workers?format={kind}', headers={'Accept': accept})
            if kind in formats:
                assert response.status_code == 200
            else:
                assert 'The field `format` chooses the format.' in detail(response, 406)
        assert (client.get('/api/openapi.json', headers={'Accept': accept}).status_code == 200) == ('json' in formats)

    def test_other_host_names(self, client: FlaskClient) -> None:
        for address in (*ADDRESSES.values(), '/api/openapi.json', '/api/nowhere'):
            assert 'rebound.example' in detail(client.get(address, headers={'Host': 'rebound.example'}), 400)

    def test_error_of_the_program(self, client: FlaskClient) -> None:
        client.application.add_url_rule('/api/broken', view_func=lambda: {}[SECRET])
        assert SECRET not in detail(client.get('/api/broken'), 500)

    def test_without_tables(self, tmp_path: Path) -> None:
        client = create_app(f'sqlite:///{tmp_path}/empty.db').test_client()
        for address in ADDRESSES.values():
            said = detail(client.get(address), 503)
            assert said.startswith('The database cannot be read: ')
            assert 'celery toolbox tables' in said

    @pytest.mark.process
    def test_password_is_not_shown(self) -> None:
        client = create_app(f'postgresql://ada:{SECRET}@127.0.0.1:{free_port()}/db').test_client()
        response = client.get('/api/tasks')
        assert 'Connection refused' in detail(response, 503)
        assert SECRET not in response.text


class TestTextOfStrangers:
    """It comes out as valid JSON, and as CSV in which a spreadsheet finds no formula and a terminal no command."""

    FORMULAS = ('=cmd|"/C calc"!A0', '+1', '-1', '@SUM(1)', '\uff1d1', '\t=1', '\r=1', '\n=1')

    def test_formulas(self, client: FlaskClient, seed: Seed) -> None:
        for number, name in enumerate(self.FORMULAS):
            seed.task(f'={number}', 'FAILURE', number, name=name, routing_key=name, origin=name, root_id='=0')
        for address in ('tasks', 'tasks/=0', 'workflows/=0', 'names', 'failures', 'counts'):
            text = client.get(f'/api/{address}?format=csv').data.decode()
            assert '=0' in text or '1' in text
            assert not re.search('(^|[,"])[=+\\-@\uff1d\t\r]', text, re.MULTILINE), text
        assert [row['name'] for row in read(client.get('/api/tasks'))['tasks']] == list(self.FORMULAS)

    def test_characters(self, shown: FlaskClient, seed: Seed) -> None:
        odd = 'a\0b\ud800c\x1b[31m\u2028\u202e\U0001f600'
        stored = odd.replace('\ud800', '?')
        seed.task('7', 'SUCCESS', name=odd.replace('\ud800', ''), kwargs={odd: odd}, options={'x': odd})
        assert read(shown.get('/api/tasks/7'))['kwargs'] == {stored: stored}
        (row,) = table(shown.get('/api/tasks/7?format=csv'))
        assert row['name'] == r'a\x00bc\x1b[31m\u2028\u202e' + '\U0001f600'
        assert not re.search('[\0\x1b\u2028\u202e]', shown.get('/api/tasks/7?format=csv').data.decode())

    def test_numbers(self, shown: FlaskClient, seed: Seed) -> None:
        numbers = [10**4_000, -(10**30), 1e308, -0.0, float('nan'), float('inf'), -float('inf')]
        seed.task('7', 'SUCCESS', args=numbers, timelimit=[float('inf'), None])
        found = read(shown.get('/api/tasks/7'))
        assert found['args'] == [10**4_000, -(10**30), 1e308, -0.0, 'NaN', 'Infinity', '-Infinity']
        assert found['timelimit'] == ['Infinity', None]
        assert datetime.fromisoformat(found['first_seen']) == NOW
        (row,) = table(shown.get('/api/tasks/7?format=csv'))
        assert row['args'].startswith('[1000000')

    def test_times(self, client: FlaskClient, seed: Seed) -> None:
        late = datetime.max.replace(tzinfo=NOW.tzinfo)
        seed.task('7', eta=late, expires=datetime.min.replace(tzinfo=NOW.tzinfo))
        found = read(client.get('/api/tasks/7'))
        assert (found['eta'], found['expires']) == ('9999-12-31T23:59:59.999999+00:00', '0001-01-01T00:00:00+00:00')

    def test_a_name_of_a_file(self, client: FlaskClient, seed: Seed) -> None:
        seed.task('"; filename=x.exe')
        response = client.get('/api/tasks/%22%3B%20filename=x.exe?format=csv')
        assert response.headers['Content-Disposition'] == 'attachment; filename=task.csv'


class TestMemory:
    @pytest.mark.long
    def test_lists_read_nothing_that_is_large(self, tasks: TaskDatabase) -> None:
        """A thousand tasks in portions, whose arguments, results and errors have megabytes together."""
        seed = Seed(tasks.url)
        large = 'x' * 200_000
        error = f'{{"exc_type": "KeyError", "exc_message": ["{large}"]}}'.encode()
        for number in range(60):
            seed.task(f'{number:02}', 'FAILURE', number, args=[large], result=error, traceback=large)
        client = create_app(seed.url, show_arguments=True).test_client()
        client.get('/api/tasks')
        tracemalloc.start()
        try:
            found = read(client.get('/api/tasks?limit=1000'))['tasks']
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert (len(found), {row['error'] for row in found}) == (60, {'KeyError'})
        assert peak < 6 * 2**20

    def test_rows_are_written_one_after_the_other(self, client: FlaskClient, seed: Seed) -> None:
        for number in range(3):
            seed.task(str(number))
        for kind in ('json', 'csv'):
            with client.get(f'/api/tasks?format={kind}', buffered=False) as response:
                assert response.content_length is None
                assert sum('export.project' in part.decode() for part in response.iter_encoded()) == 3
