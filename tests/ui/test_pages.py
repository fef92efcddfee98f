"""What the pages say, whatever is in the database."""

from __future__ import annotations

import re
import time
from datetime import timedelta
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from cadasta.workertoolbox.monitor import upgrade
from cadasta.workertoolbox.ui import chart, views, workflow
from cadasta.workertoolbox.ui.app import create_app
from rig.monitor.databases import url_of
from rig.servers.postgres import Database, Postgres
from rig.servers.process import free_port

from .seed import HOSTILE, NOW, SECRET, Seed


@pytest.fixture
def seed(tmp_path: Path) -> Seed:
    return Seed(f'sqlite:///{tmp_path}/tasks.db')


@pytest.fixture
def client(seed: Seed) -> FlaskClient:
    return create_app(seed.url).test_client()


def ids(page: str) -> list[str]:
    """The ids of the tasks in the list."""
    return re.findall(r'<span class="id">(.*?)</span>', page)


def text(page: str) -> str:
    """A page as it is read."""
    return ' '.join(re.sub(r'<[^>]*>', ' ', page).split())


class TestList:
    def test_newest_first(self, client: FlaskClient, seed: Seed) -> None:
        seed.task('first', 'SUCCESS', 20, 250, sent=NOW - timedelta(seconds=80), started=NOW - timedelta(seconds=20))
        seed.task('second', age=10)
        seed.task('third', 'STARTED', 5, started=NOW - timedelta(days=2), lease=NOW + timedelta(days=2))
        seed.task('fourth', 'STARTED', 2, lease=NOW - timedelta(days=2))
        page = client.get('/').text
        assert ids(page) == ['fourth', 'third', 'second', 'first']
        assert 'SUCCESS' in page
        assert '<td data-name="Waited" class="number">1 min</td>' in page
        assert 'STARTED</span> <span class="faint">lost</span>' in page
        assert '4 min 10 s' in page
        assert '2 d so far' in page
        assert f'<time datetime="{NOW - timedelta(seconds=10):%Y-%m-%dT%H:%M:%SZ}">' in page

    def test_empty(self, client: FlaskClient) -> None:
        assert 'No task is known that matches.' in client.get('/').text

    @pytest.mark.parametrize(
        ('query', 'found'),
        [
            ('state=FAILURE', ['message']),
            ('state=PENDING', ['archive']),
            ('state=NEVER', []),
            ('name=msg.send', ['message']),
            ('name=msg.*', ['message']),
            ('name=send', []),
            ('queue=msg', ['message']),
            ('root=project&state=SUCCESS', ['layer-0', 'project']),
            ('newer=1w&state=REVOKED', ['old']),
            ('newer=36h&state=REVOKED', []),
            ('older=2879m', ['old']),
            ('older=3d', []),
            ('newer=&name=+msg.send+', ['message']),
        ],
    )
    def test_filters(self, client: FlaskClient, seed: Seed, query: str, found: list[str]) -> None:
        seed.project()
        seed.task('old', 'REVOKED', 2 * 86_400)
        assert ids(client.get(f'/?{query}').text) == found

    def test_filters_stay_in_the_form(self, client: FlaskClient) -> None:
        page = client.get('/?name=%22x%22&state=PAUSED').text
        assert 'value="&#34;x&#34;"' in page
        assert '<option selected>PAUSED</option>' in page

    def test_pages(self, client: FlaskClient, seed: Seed) -> None:
        expected = [seed.task(f'export,{number:03}', age=number // 2) for number in range(2 * views.TASKS + 10)]
        seed.result('untracked', 'SUCCESS')
        seed.task('another', name='msg.send')
        address, found, pages = '/?name=export.*', [], 0
        while address:
            page = client.get(address).text
            assert ('rel="first" href="/?name=export.*"' in page) == bool(pages)
            pages += 1
            found += ids(page)
            following = re.search(r'rel="next" href="([^"]*)"', page)
            address = following[1].replace('&amp;', '&') if following else ''
        assert (pages, sorted(found)) == (3, expected)
        assert [name for name in found if name < 'export,002'] == ['export,001', 'export,000']

    def test_results_without_tasks_come_last(
        self,
        client: FlaskClient,
        seed: Seed,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(views, 'TASKS', 1)
        for name in ('a', 'b'):
            seed.result(name, 'SUCCESS')
        page = client.get('/').text
        assert ids(page) == ['b']
        assert 'unknown task' in page
        address = re.search(r'rel="next" href="([^"]*)"', page)
        assert address
        assert ids(client.get(address[1]).text) == ['a']

    @pytest.mark.parametrize(
        ('query', 'error'),
        [
            ('newer=yesterday', 'Newer than: &#39;yesterday&#39; is no age. Write it 30s, 15m, 2h, 3d, 1w, 1y.'),
            ('newer=1000000d', 'Newer than: &#39;1000000d&#39; is no age'),
            ('older=-1h', 'Older than: &#39;-1h&#39; is no age'),
            ('older=%D9%A3h', 'is no age'),
            ('older=<b>', 'Older than: &#39;&lt;b&gt;&#39; is no age'),
            ('before=yesterday,1', 'before: &#39;yesterday,1&#39; is no place in the list'),
            ('before=0001-01-01T00:00:00%2B23:59,1', 'is no place in the list'),
        ],
    )
    def test_what_cannot_be_understood(self, client: FlaskClient, query: str, error: str) -> None:
        response = client.get(f'/?{query}')
        assert response.status_code == 400
        assert error in response.text

    @pytest.mark.parametrize('field', ['state', 'name', 'queue', 'root', 'before'])
    @pytest.mark.parametrize('value', ['%00', '%ff', '%27%20OR%201=1--', '%25', 'x' * 10_000])
    def test_odd_values(self, client: FlaskClient, seed: Seed, field: str, value: str) -> None:
        seed.task('1')
        place = '2000-01-01T00:00:00%2B00:00,' if field == 'before' else ''
        response = client.get(f'/?{field}={place}{value}')
        assert (response.status_code, ids(response.text)) == (200, [])


class TestTask:
    def test_facts(self, client: FlaskClient, seed: Seed) -> None:
        seed.task(
            '7',
            'SUCCESS',
            60,
            7_500,
            eta=NOW,
            expires=NOW,
            retries=3,
            timelimit=[300, None],
            origin='gen1@web',
            group_id='group',
            parent_id='6',
            root_id='5',
        )
        said = text(client.get('/tasks/7').text)
        for fact in (
            'export.project SUCCESS',
            'Id 7',
            'Queue export',
            'Root 5',
            'Parent 6',
            'Took 2 h 5 min',
            'Retries 3',
            'Time limits hard 300 s',
            'Sent by gen1@web',
            'Group group',
            f'Not before {NOW:%Y-%m-%d %H:%M:%S}',
            f'Expires {NOW:%Y-%m-%d %H:%M:%S}',
        ):
            assert fact in said

    def test_result_without_task(self, client: FlaskClient, seed: Seed) -> None:
        seed.result('7', 'FAILURE')
        page = client.get('/tasks/7').text
        assert 'unknown task FAILURE Id 7 Queue unknown Standing failed Scheduled unknown' in text(page)
        assert '<rect' not in page

    def test_arguments_are_private(self, client: FlaskClient, seed: Seed) -> None:
        seed.project()
        seed.task(
            'private',
            'FAILURE',
            args=[SECRET],
            kwargs={SECRET: SECRET},
            options={'argsrepr': SECRET},
            result=SECRET.encode(),
            traceback=SECRET,
        )
        for address in ('/', '/tasks/private', '/tasks/message', '/tasks/layer-0', '/counts'):
            response = client.get(address)
            assert response.status_code == 200
            assert SECRET not in response.text
        assert '--show-arguments' in client.get('/tasks/private').text

    def test_arguments_are_shown_on_demand(self, seed: Seed) -> None:
        seed.task(
            '7',
            'FAILURE',
            args=[1, 'ü'],
            kwargs={'format': 'gpkg'},
            result=b'\x81<{"path"}' + 30_000 * b'z',
            traceback='Tr',
            options={'x': 'y' * 30_000},
        )
        said = text(create_app(seed.url, show_arguments=True).test_client().get('/tasks/7').text)
        for shown in (
            'Arguments [1, &#34;ü&#34;]',
            'Keyword arguments {&#34;format&#34;: &#34;gpkg&#34;}',
            r'Result \x81&lt;{&#34;path&#34;}',
            'Traceback Tr',
            'yyyy… and 10,009 more characters',
            'and 10,010 more bytes',
        ):
            assert shown in said

    @pytest.mark.parametrize('task_id', ['a/b', 'a//b/', 'ü ?#%', HOSTILE], ids=range(4))
    def test_any_id(self, client: FlaskClient, seed: Seed, task_id: str) -> None:
        seed.task(task_id)
        address = re.search(r'<td data-name="Task"><span><a href="([^"]*)"', client.get('/').text)
        assert address
        assert client.get(address[1]).status_code == 200

    @pytest.mark.parametrize('task_id', ['8', '%00', 'x' * 10_000])
    def test_unknown(self, client: FlaskClient, seed: Seed, task_id: str) -> None:
        seed.task('7')
        response = client.get(f'/tasks/{task_id}')
        assert response.status_code == 404
        assert 'There is neither a task nor a result with the id' in response.text


class TestWorkflow:
    def rows(self, page: str) -> list[str]:
        return [text(row).removeprefix('Level ') for row in re.findall(r'<tr.*?</tr>', page, re.DOTALL)[1:]]

    def test_tree_and_timeline(self, client: FlaskClient, seed: Seed) -> None:
        seed.project()
        page = client.get('/tasks/message').text
        assert 'Workflow FAILURE 6 tasks: 2 SUCCESS, ' in text(page)
        assert '47.0 s from the first moment to the last.' in page
        *rows, last = self.rows(page)
        assert rows == [
            '1: export.project SUCCESS +0 ms 2.0 s',
            '2: export.layer SUCCESS +2.0 s 20.0 s',
            '3: msg.send FAILURE +10.0 s 8.0 s',
            '4: export.archive PENDING +11.0 s not done',
            '2: export.layer RETRY +2.0 s not done',
        ]
        assert last.startswith('2: export.layer STARTED +2.0 s ')
        assert page.count('aria-current="true"') == 1
        # 47 seconds are 1,000 wide.
        assert '<rect class="success" x="43" y="2" width="426" height="6"/>' in page
        assert '<rect class="pending" x="234" y="2" width="766" height="6"/>' in page

    def test_states_that_only_the_workflow_tells(self, client: FlaskClient, seed: Seed) -> None:
        seed.task('1', 'SUCCESS', 60)
        seed.task('2', age=50, name='export.quiet', root_id='1', parent_id='1', options={'ignore_result': True})
        seed.task(
            '3',
            age=40,
            name='celery.chord_unlock',
            root_id='1',
            parent_id='1',
            args=['group', {'task': 'export.body', 'options': {'task_id': '4'}}],
        )
        seed.task('4', 'SUCCESS', 20, 10, name='export.body', root_id='1', parent_id='3')
        page = client.get('/tasks/1').text
        assert 'Workflow SUCCESS 4 tasks: 3 SUCCESS, 1 IGNORED; 50.0 s from' in text(page)
        assert self.rows(page) == [
            '1: export.project SUCCESS +0 ms 1.0 s',
            '2: export.quiet IGNORED +10.0 s unknown',
            '2: celery.chord_unlock SUCCESS +20.0 s unknown',
            '3: export.body SUCCESS +40.0 s 10.0 s',
        ]
        # They were done somewhen.
        assert '<rect class="pending" x="200" y="2" width="4" height="6"/>' in page
        assert '<rect class="success" x="400" y="2" width="4" height="6"/>' in page

    def test_one_moment(self, client: FlaskClient, seed: Seed) -> None:
        seed.task('7')
        assert '<rect class="pending" x="0" y="2" width="4" height="6"/>' in client.get('/tasks/7').text

    def test_last_task(self, client: FlaskClient, seed: Seed) -> None:
        seed.task('7', age=60)
        seed.task('8', root_id='7')
        assert '<rect class="pending" x="996" y="2" width="4" height="6"/>' in client.get('/tasks/7').text

    def test_many_tasks(self, client: FlaskClient, seed: Seed, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(workflow, 'LIMIT', 4)
        monkeypatch.setattr(views, 'WORKFLOW', 5)
        seed.project()
        page = client.get('/tasks/archive').text
        assert len(self.rows(page)) == 4
        assert 'At least 5 tasks: ' in text(page)
        assert 'Only the first 4 tasks of them are drawn.' in page
        assert ids(client.get('/?root=project').text)[-1] == 'project'
        assert 'href="/?root=project"' in page

    @pytest.mark.long
    def test_long_chain(self, client: FlaskClient, seed: Seed) -> None:
        for number in range(300):
            seed.task(str(number), 'SUCCESS', 300 - number, root_id='0', parent_id=str(number - 1) if number else None)
        rows = self.rows(client.get('/tasks/299').text)
        assert [row.partition(':')[0] for row in rows] == [str(number + 1) for number in range(300)]


class TestCounts:
    def test_queues_and_states(self, client: FlaskClient, seed: Seed) -> None:
        seed.project()
        seed.task('now', 'SUCCESS')
        seed.task('nowhere', 'PAUSED', routing_key=None)
        seed.task('long ago', 'SUCCESS', 2 * 86_400)
        asked = time.time()
        page = client.get('/counts').text
        answered = time.time()
        said = text(page)
        assert re.search(r'Last day .*export 6 tasks.*PENDING 1 1 at.*RETRY 1 1 at.*STARTED 1 1 at.*SUCCESS 3 ', said)
        assert re.search(r'export 6 .*No queue 1 task, .*PAUSED 1.*msg 1 task, .*FAILURE 1 ', said)
        assert '<a href="/?state=FAILURE&amp;queue=msg&amp;newer=1d">' in page
        # Bars are of half an hour, and one may have begun since the tasks were added, even while the page was made.
        failed = (NOW.timestamp() - 3_590) // 1_800
        assert any(f'<rect class="failure" x="{47 - now // 1_800 + failed:.0f}" ' in page for now in (asked, answered))
        assert 'y="0" width="0.9" height="100"' in page

    @pytest.mark.parametrize(('window', 'tasks'), [('hour', '1 task,'), ('day', '2 tasks,'), ('week', '3 tasks,')])
    def test_windows(self, client: FlaskClient, seed: Seed, window: str, tasks: str) -> None:
        for age in (60, 5 * 3_600, 5 * 86_400, 50 * 86_400):
            seed.task(str(age), age=age)
        page = client.get(f'/counts?window={window}').text
        assert tasks in page
        assert f'href="/counts?window={window}" aria-current="page"' in page

    def test_nothing(self, client: FlaskClient) -> None:
        assert 'None.' in client.get('/counts').text

    def test_unknown_window(self, client: FlaskClient) -> None:
        response = client.get('/counts?window=year')
        assert response.status_code == 400
        assert 'window: &#39;year&#39; is none of hour, day, week.' in response.text

    def test_many_queues(self, client: FlaskClient, seed: Seed, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(views, 'QUEUES', 2)
        for number in range(3):
            seed.task(str(number), routing_key=f'queue{number}')
        page = client.get('/counts').text
        assert 'queue1' in page
        assert 'queue2' not in page
        assert 'Another 1 queue had fewer tasks' in page

    def test_last_bar_gets_what_came_since(self) -> None:
        window = chart.Window('2m', timedelta(minutes=1), 2)
        late = chart.Count(NOW + timedelta(minutes=5), 'SUCCESS', 'export', 3)
        (queue,) = chart.queues([late], NOW, window)
        assert queue.lines == [chart.Line('SUCCESS', [0, 3])]


class TestSafety:
    @pytest.mark.parametrize('show_arguments', [False, True])
    def test_nothing_is_more_than_text(self, seed: Seed, show_arguments: bool) -> None:
        seed.hostile()
        client = create_app(seed.url, show_arguments).test_client()
        address = re.search(r'<td data-name="Task"><span><a href="([^"]*)"', client.get('/').text)
        assert address
        for page in (
            '/',
            address[1],
            '/counts',
            f'/?name={HOSTILE}',
            f'/tasks/{HOSTILE}!',
            f'/counts?window={HOSTILE}',
            f'/?older={HOSTILE}',
            f'/{HOSTILE}',
        ):
            said = client.get(page).text
            assert '<script' not in said
            assert '<img' not in said
            assert ('{{ 7 * 7 }}' in said) == (page != f'/{HOSTILE}')

    @pytest.mark.parametrize(
        ('address', 'status'),
        [
            ('/', 200),
            ('/counts', 200),
            ('/static/style.css', 200),
            ('/nowhere', 404),
            ('/?older=x', 400),
        ],
    )
    def test_headers(self, client: FlaskClient, address: str, status: int) -> None:
        response = client.get(address)
        assert response.status_code == status
        assert response.headers['Content-Security-Policy'].startswith("default-src 'none'; ")
        assert "frame-ancestors 'none'" in response.headers['Content-Security-Policy']
        assert response.headers['X-Content-Type-Options'] == 'nosniff'
        assert response.headers['Referrer-Policy'] == 'same-origin'
        assert 'Set-Cookie' not in response.headers
        assert response.headers['Cache-Control'] == 'no-cache' if 'static' in address else 'no-store'

    @pytest.mark.parametrize('method', ['POST', 'PUT', 'PATCH', 'DELETE'])
    @pytest.mark.parametrize('address', ['/', '/tasks/7', '/counts'])
    def test_reads_only(self, client: FlaskClient, method: str, address: str) -> None:
        response = client.open(address, method=method)
        assert response.status_code == 405
        assert set(response.headers['Allow'].split(', ')) <= {'GET', 'HEAD', 'OPTIONS'}

    @pytest.mark.parametrize(
        ('host', 'status'),
        [
            ('localhost', 200),
            ('localhost:8642', 200),
            ('127.0.0.1:8642', 200),
            ('[::1]:8642', 200),
            ('[::1]', 200),
            ('rebound.example', 400),
            ('rebound.example:8642', 400),
            ('localhost.rebound.example', 400),
            ('[::1', 400),
            ('localhost:8642:1', 400),
        ],
    )
    def test_other_names_are_refused(self, client: FlaskClient, host: str, status: int) -> None:
        assert client.get('/', headers={'Host': host}).status_code == status
        assert client.get('/static/style.css', headers={'Host': host}).status_code == status

    def test_the_refusal_says_what_to_change(self, client: FlaskClient) -> None:
        page = text(client.get('/', headers={'Host': 'tasks.example.org:8642'}).text)
        assert 'does not answer to the host name &#39;tasks.example.org&#39;' in page
        assert '--allow-host NAME' in page
        assert 'TOOLBOX_ALLOW_HOST' in page

    def test_names_that_are_allowed(self, seed: Seed) -> None:
        client = create_app(seed.url, hosts=['Tasks.example.org', 'other.example.org:8642']).test_client()
        for host, status in [
            ('tasks.example.org', 200),
            ('TASKS.example.org:443', 200),
            ('other.example.org', 200),
            ('localhost', 400),
            ('example.org', 400),
        ]:
            assert client.get('/', headers={'Host': host}).status_code == status

    def test_any_name_where_it_is_public(self, seed: Seed) -> None:
        client = create_app(seed.url, hosts=None).test_client()
        assert client.get('/', headers={'Host': 'tasks.example.org'}).status_code == 200

    def test_error_of_the_program(self, seed: Seed) -> None:
        app = create_app(seed.url)
        app.add_url_rule('/broken', view_func=lambda: {}[SECRET])
        response = app.test_client().get('/broken')
        assert response.status_code == 500
        assert 'Internal Server Error' in response.text
        assert SECRET not in response.text


class TestDatabaseAway:
    @pytest.mark.process
    def test_password_is_not_shown(self, caplog: pytest.LogCaptureFixture) -> None:
        client = create_app(f'postgresql://ada:{SECRET}@127.0.0.1:{free_port()}/db').test_client()
        for address in ('/', '/tasks/7', '/counts'):
            response = client.get(address)
            assert response.status_code == 503
            assert 'The database cannot be read' in response.text
            assert 'Connection refused' in response.text
            assert SECRET not in response.text + caplog.text
        assert 'Connection refused' in caplog.text

    def test_found_again(self, postgres: Postgres, database: Database) -> None:
        seed = Seed(url_of(database))
        seed.task('7')
        client = create_app(seed.url).test_client()
        assert ids(client.get('/').text) == ['7']
        postgres.stop()
        try:
            assert client.get('/').status_code == 503
        finally:
            postgres.start()
        assert ids(client.get('/').text) == ['7']

    def test_without_tables_and_then_with_them(self, tmp_path: Path) -> None:
        url = f'sqlite:///{tmp_path}/empty.db'
        client = create_app(url).test_client()
        response = client.get('/')
        assert response.status_code == 503
        assert 'celery toolbox tables' in response.text
        upgrade(url)
        assert client.get('/').status_code == 200

    def test_a_role_that_may_not_read(self, database: Database) -> None:
        upgrade(url_of(database))
        response = create_app(url_of(database, database.role, database.password)).test_client().get('/')
        assert response.status_code == 503
        assert 'permission denied' in response.text
