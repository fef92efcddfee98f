"""The pages show whatever is in the database."""

from __future__ import annotations

import re
import time
from datetime import timedelta
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from cadasta.workertoolbox.monitor import upgrade
from cadasta.workertoolbox.tracked import TrackedTask
from cadasta.workertoolbox.ui import chart, overview, views, workflow
from cadasta.workertoolbox.ui.app import create_app
from cadasta.workertoolbox.ui.windows import Window
from rig.monitor.databases import url_of
from rig.servers.postgres import Database, Postgres
from rig.servers.process import free_port

from .seed import HOSTILE, NOW, SECRET, Seed

PAGES = ['/', '/tasks', '/failures', '/names', '/workers', '/counts']


def ids(page: str) -> list[str]:
    """The ids of the tasks in the list."""
    return re.findall(r'<a class="id" [^>]*>(.*?)</a></span></td>', page)


def text(page: str) -> str:
    """A page as it is read."""
    return ' '.join(re.sub(r'<[^>]*>', ' ', page).split())


class TestList:
    def test_newest_first(self, client: FlaskClient, seed: Seed) -> None:
        seed.task('first', 'SUCCESS', 20, 250, sent=NOW - timedelta(seconds=80), started=NOW - timedelta(seconds=20))
        seed.task('second', age=10)
        seed.task('third', 'STARTED', 5, started=NOW - timedelta(days=2), lease=NOW + timedelta(days=2))
        seed.task('fourth', 'STARTED', 2, lease=NOW - timedelta(days=2))
        page = client.get('/tasks').text
        assert ids(page) == ['fourth', 'third', 'second', 'first']
        assert 'SUCCESS' in page
        assert '<td data-name="Waited" class="number">1 min</td>' in page
        assert 'STARTED</span> <span class="faint">lost</span>' in page
        assert '4 min 10 s' in page
        assert '2 d so far' in page
        assert f'<time datetime="{NOW - timedelta(seconds=10):%Y-%m-%dT%H:%M:%SZ}">' in page

    def test_empty(self, client: FlaskClient) -> None:
        assert 'No task is known that matches.' in client.get('/tasks').text

    @pytest.mark.parametrize(
        ('query', 'found'),
        [
            ('state=FAILURE', ['message']),
            ('state=PENDING', ['archive']),
            ('state=NEVER', []),
            ('find=msg.send', ['message']),
            ('find=msg.*', ['message']),
            ('find=send', []),
            ('queue=msg', ['message']),
            ('root=project&state=SUCCESS', ['layer-0', 'project']),
            ('newer=1w&state=REVOKED', ['old']),
            ('newer=36h&state=REVOKED', []),
            ('older=2879m', ['old']),
            ('older=3d', []),
            ('newer=&find=+msg.send+', ['message']),
        ],
    )
    def test_filters(self, client: FlaskClient, seed: Seed, query: str, found: list[str]) -> None:
        seed.project()
        seed.task('old', 'REVOKED', 2 * 86_400)
        assert ids(client.get(f'/tasks?{query}').text) == found

    def test_filters_stay_in_the_form(self, client: FlaskClient) -> None:
        page = client.get('/tasks?find=%22x%22&state=PAUSED').text
        assert 'value="&#34;x&#34;"' in page
        assert '<option selected>PAUSED</option>' in page

    def test_pages(self, client: FlaskClient, seed: Seed) -> None:
        expected = [seed.task(f'export,{number:03}', age=number // 2) for number in range(2 * views.TASKS + 10)]
        seed.result('untracked', 'SUCCESS')
        seed.task('another', name='msg.send')
        address, found, pages = '/tasks?find=export.*', [], 0
        while address:
            page = client.get(address).text
            assert ('rel="first" href="/tasks?find=export.*"' in page) == bool(pages)
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
        page = client.get('/tasks').text
        assert ids(page) == ['b']
        assert 'unknown task' in page
        address = re.search(r'rel="next" href="([^"]*)"', page)
        assert address
        assert ids(client.get(address[1]).text) == ['a']

    @pytest.mark.parametrize(
        ('query', 'error'),
        [
            ('newer=yesterday', '&#39;yesterday&#39; is no age. Write it 30s, 15m, 2h, 3d, 1w, 1y.'),
            ('newer=1000000d', '&#39;1000000d&#39; is no age'),
            ('older=-1h', '&#39;-1h&#39; is no age'),
            ('older=%D9%A3h', 'is no age'),
            ('older=<b>', '&#39;&lt;b&gt;&#39; is no age'),
            ('before=yesterday,1', 'before: &#39;yesterday,1&#39; is no place in the list'),
            ('before=123456789012345678,1', 'is no place in the list'),
            ('before=-1,1', 'is no place in the list'),
        ],
    )
    def test_what_cannot_be_understood(self, client: FlaskClient, query: str, error: str) -> None:
        response = client.get(f'/tasks?{query}')
        assert response.status_code == 400
        assert error in response.text

    @pytest.mark.parametrize(
        'field', ['find', 'state', 'standing', 'queue', 'error', 'worker', 'group', 'root', 'before']
    )
    @pytest.mark.parametrize('value', ['%00', '%ff', '%27%20OR%201=1--', '%25', 'x' * 10_000])
    def test_odd_values(self, client: FlaskClient, seed: Seed, field: str, value: str) -> None:
        seed.task('1')
        place = '946684800000000,' if field == 'before' else ''
        response = client.get(f'/tasks?{field}={place}{value}')
        assert (response.status_code, ids(response.text)) == (200, [])

    def test_what_is_looked_for_is_a_name_or_the_beginning_of_an_id(self, client: FlaskClient, seed: Seed) -> None:
        seed.project()
        seed.task('export.project', name='msg.send')
        assert ids(client.get('/tasks?find=export.project').text) == ['project']
        assert ids(client.get('/tasks?find=layer').text) == ['layer-2', 'layer-1', 'layer-0']
        assert ids(client.get('/tasks?find=layer*').text) == []

    def test_an_age_that_is_none_leaves_the_form(self, client: FlaskClient) -> None:
        page = client.get('/tasks?find=export.*&newer=yesterday&group=7').text
        assert 'value="export.*"' in page
        assert 'value="yesterday" autocapitalize="none" spellcheck="false"' in page
        assert 'aria-describedby="newer-problem" aria-invalid="true"' in page
        assert '<details open>' in page
        assert 'No task is known' not in page

    def test_what_a_task_raised(self, client: FlaskClient, seed: Seed) -> None:
        error = f'{{"exc_type": "Away", "exc_message": ["{SECRET}"], "exc_module": "gis"}}'
        seed.task('7', 'FAILURE', result=error.encode())
        seed.task('8', 'RETRY', result=b'"nothing"')
        seed.task('9', 'SUCCESS', result=error.encode())
        page = client.get('/tasks').text
        assert re.findall('class="error">(.*?)<', page) == ['gis.Away']
        assert SECRET not in page
        assert ids(client.get('/tasks?error=Away').text) == ['7']

    def test_where_the_list_was(self, client: FlaskClient) -> None:
        moved = client.get('/?name=export.*&state=FAILURE&_external=1&_scheme=evil&before=x')
        assert moved.location == '/tasks?find=export.%2A&state=FAILURE'


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
        assert 'unknown task FAILURE Took unknown Standing failed State since' in text(page)
        assert 'Scheduled unknown Queue unknown Id 7' in text(page)
        assert 'resend' not in page
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
        for address in [*PAGES, '/tasks/private', '/tasks/message', '/tasks/layer-0']:
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
        address = re.search(r'<td data-name="Task"><span><a href="([^"]*)"', client.get('/tasks').text)
        assert address
        assert client.get(address[1]).status_code == 200

    def test_the_error_comes_first(self, seed: Seed) -> None:
        seed.task('7', 'FAILURE', 3_600, 60, result=b'{"exc_type": "KeyError", "exc_message": ["42"]}', traceback='Tr')
        whole = text(create_app(seed.url, show_arguments=True).test_client().get('/tasks/7').text)
        assert re.search(r'FAILURE KeyError 42 Tr Failed\. To send it again: celery .* Workflow', whole)
        assert whole.count('KeyError') == 1
        assert 'KeyError Failed. To' in text(create_app(seed.url).test_client().get('/tasks/7').text)

    def test_waited_and_ran_are_a_line(self, client: FlaskClient, seed: Seed) -> None:
        scheduled = NOW - timedelta(seconds=100)
        seed.task('7', 'SUCCESS', 100, 100, sent=scheduled, started=scheduled + timedelta(seconds=25))
        page = client.get('/tasks/7').text
        assert 'Waited 25.0 s Ran 1 min 15 s' in text(page)
        assert '<rect x="0" y="2" width="250.0" height="6"/>' in page
        assert '<rect class="success" x="250.0" y="1" width="750.0" height="8"/>' in page

    @pytest.mark.parametrize(
        ('task_id', 'state', 'columns', 'command'),
        [
            ('7', 'FAILURE', {}, 'resend 7'),
            ("it's; rm", 'REVOKED', {}, 'resend &#39;it&#39;&#34;&#39;&#34;&#39;s; rm&#39;'),
            ('--yes', None, {}, 'cancel -- --yes'),
            ('7', 'STARTED', {'lease': NOW - timedelta(days=2)}, 'resend 7'),
            ('7', 'STARTED', {'lease': NOW + timedelta(days=2)}, 'cancel 7'),
            ('7', 'SUCCESS', {}, None),
        ],
    )
    def test_the_command_that_mends(
        self,
        client: FlaskClient,
        seed: Seed,
        task_id: str,
        state: str | None,
        columns: dict[str, object],
        command: str | None,
    ) -> None:
        seed.task(task_id, state, **columns)
        page = client.get(f'/tasks/{task_id}').text
        found = re.findall(r'<code>celery -A PROJECT toolbox (.*?)</code>', page)
        assert found == ([] if command is None else [command])

    def test_a_task_that_is_yet_to_be_sent(self, client: FlaskClient, seed: Seed) -> None:
        chain = [{'task': 'export.archive', 'options': {'task_id': 'later'}}]
        seed.task('7', 'STARTED', options={'chain': chain})
        page = client.get('/tasks/later').text
        assert 'A task that was not sent yet' in page
        assert 'href="/tasks/7"' in page

    @pytest.mark.parametrize('task_id', ['8', '%00', 'x' * 10_000])
    def test_unknown(self, client: FlaskClient, seed: Seed, task_id: str) -> None:
        seed.task('7')
        response = client.get(f'/tasks/{task_id}')
        assert response.status_code == 404
        assert 'There is neither a task nor a result with the id' in response.text
        assert '<a href="/">Now</a>' in response.text


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
        assert 'Tasks 1 to 4 are drawn.' in page
        following = re.search(r'rel="next" href="([^"]*)"', page)
        assert following
        rest = client.get(following[1]).text
        assert 'Tasks 5 to 5 are drawn.' in rest
        assert len(self.rows(rest)) == 1
        assert 'rel="prev" href="/tasks/archive?first=1"' in rest
        assert 'rel="next"' not in rest
        for first, drawn in (('0', 'Tasks 1 to 4'), ('999', 'Tasks 5 to 5'), ('x', 'Tasks 1 to 4')):
            assert drawn in client.get(f'/tasks/archive?first={first}').text

    def test_the_deepest_tasks_are_indented_alike(self) -> None:
        """They would leave the window."""
        chain = [TrackedTask(str(n), 'SUCCESS', root_id='0', parent_id=str(n - 1) if n else None) for n in range(15)]
        assert [row.indent for row in workflow.workflow(chain).rows] == [*range(13), 12, 12]

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
        assert re.search(r'Last day .*export 6 tasks .*PENDING 1 1 at.*RETRY 1 1 at.*STARTED 1 1 at.*SUCCESS 3 ', said)
        assert re.search(r'export 6 .*No queue 1 task .*PAUSED 1.*msg 1 task .*FAILURE 1 ', said)
        assert '<a href="/tasks?state=FAILURE&amp;queue=msg&amp;newer=1d">' in page
        # Bars are of half an hour, and one may have begun since the tasks were added, even while the page was made.
        failed = (NOW.timestamp() - 3_590) // 1_800
        assert any(f'<rect class="failure" x="{47 - now // 1_800 + failed:.0f}" ' in page for now in (asked, answered))
        assert 'y="0" width="0.9" height="100"' in page
        assert 'Another' not in page

    @pytest.mark.parametrize(('window', 'tasks'), [('hour', '1 task<'), ('day', '2 tasks<'), ('week', '3 tasks<')])
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

    @pytest.mark.parametrize(
        ('numbers', 'bars'), [([0, 1], [0, 100]), ([1, 0, 300], [1, 0, 100]), ([2, 3], [67, 100]), ([0], [0])]
    )
    def test_a_single_task_can_be_seen(self, numbers: list[int], bars: list[int]) -> None:
        assert chart.Line('SUCCESS', numbers).bars == bars

    def test_last_bar_gets_what_came_since(self) -> None:
        window = Window('two minutes', '2m', timedelta(minutes=1), 2)
        late = chart.Count(NOW + timedelta(minutes=5), 'SUCCESS', 'export', 3)
        (queue,) = chart.queues([late], NOW, window)
        assert queue.lines == [chart.Line('SUCCESS', [0, 3])]


class TestFailures:
    def test_kinds(self, seed: Seed) -> None:
        seed.project()
        for number in range(3):
            error = f'{{"exc_type": "KeyError", "exc_message": ["parcel {number}"], "exc_module": "builtins"}}'
            seed.task(str(number), 'FAILURE', 7_200, result=error.encode())
        said = text(create_app(seed.url).test_client().get('/failures').text)
        assert re.search(r' 3 export.project KeyError 20\S+ \S+ 20\S+ \S+ 1 msg.send ValueError ', said)
        assert 'Another' not in said
        said = text(create_app(seed.url, show_arguments=True).test_client().get('/failures?window=week').text)
        assert 'KeyError parcel #' in said

    def test_none(self, client: FlaskClient) -> None:
        assert 'None.' in client.get('/failures').text

    def test_many(self, client: FlaskClient, seed: Seed, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(views, 'ROWS', 1)
        for name in 'abc':
            seed.task(name, 'FAILURE', name=name)
        assert 'Another 2 kinds had less and are not shown.' in client.get('/failures').text
        assert 'Another 2 names had less and are not shown.' in client.get('/names').text


class TestNames:
    def test_counts_and_times(self, client: FlaskClient, seed: Seed) -> None:
        for number in range(4):
            state = 'SUCCESS' if number else 'FAILURE'
            seed.task(
                str(number), state, 100, 10, sent=NOW - timedelta(seconds=100), started=NOW - timedelta(seconds=95)
            )
        seed.task('waiting', name='msg.send')
        said = text(client.get('/names').text)
        assert 'export.project 4 0.2 25.0 % 5.0 s 5.0 s 5.0 s 5.0 s' in said
        assert 'msg.send 1 0.0 ' in said

    def test_none(self, client: FlaskClient) -> None:
        assert 'None.' in client.get('/names').text


class TestWorkers:
    def test_reports(self, client: FlaskClient, seed: Seed) -> None:
        seed.worker('export@host', active=2, done=1_234)
        said = text(client.get('/workers').text)
        assert 'export@host host, process 7, toolbox 1.1.0 alive export, msg 2 of 4 3 1,234 prefork 20' in said

    def test_none(self, client: FlaskClient) -> None:
        assert 'Workers report where' in client.get('/workers').text


class TestNow:
    def test_all_is_well(self, client: FlaskClient, seed: Seed) -> None:
        seed.worker('export@host')
        seed.task('7', 'SUCCESS', 20)
        page = client.get('/').text
        said = text(page)
        assert re.search('Monitor .* behind 1 monitor at work Lost none while they ran', said)
        assert 'Failed none of the last hour&#39;s 1' in said or "Failed none of the last hour's 1" in said
        assert 'Workers 1 alive 0 silent Rejected none could not be read' in said
        assert 'export 0 1 1 msg 0 1 0' in said
        assert 'Another' not in said
        assert 'class="bad"' not in page
        assert '<main id="main" tabindex="-1" data-refresh>' in page

    def test_nothing_is_well(self, seed: Seed) -> None:
        seed.worker('export@host', age=3_600)
        seed.monitor(caught_up=30)
        seed.task('lost', 'STARTED', 4_000, lease=NOW - timedelta(seconds=3_900))
        seed.task('failed', 'FAILURE', 60, result=b'{"exc_type": "KeyError", "exc_message": ["7"]}')
        seed.task('failed before', 'FAILURE', 5_400, result=b'{"exc_type": "KeyError", "exc_message": ["8"]}')
        seed.task('waits', age=30, routing_key='gis')
        seed.rejected()
        page = create_app(seed.url, show_arguments=True).test_client().get('/').text
        said = text(page)
        assert re.search('Lost 1 task while they ran Failed 1 task of', said)
        assert 'Workers 0 alive 1 silent Rejected 1 message could not be read' in said
        assert 'celery -A PROJECT toolbox resend --lost' in said
        assert 'celery -A PROJECT toolbox rejected' in said
        assert re.search(r'Silent: export@host since \S+ \S+ ?\.', said)
        assert re.search(r'Failures of the last hour Failed Task .* 1 export.project KeyError # 20', said)
        assert re.search(r'gis 1 .* 0 1', said)
        assert page.count('class="bad"') == 5

    def test_no_monitor_has_ever_read(self, client: FlaskClient) -> None:
        said = text(client.get('/').text)
        assert 'Monitor has never read 0 monitors at work' in said
        assert 'No task was scheduled in the last hour, and no worker has reported.' in said

    def test_many_queues(self, client: FlaskClient, seed: Seed, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(overview, 'ROWS', 2)
        for number in range(4):
            seed.task(str(number), routing_key=f'queue{number}')
        said = text(client.get('/').text)
        assert 'queue1' in said
        assert 'queue2' not in said
        assert 'Another 2 queues had fewer tasks and are not shown.' in said


class TestSafety:
    @pytest.mark.parametrize('show_arguments', [False, True])
    def test_nothing_is_more_than_text(self, seed: Seed, show_arguments: bool) -> None:
        seed.hostile()
        client = create_app(seed.url, show_arguments).test_client()
        address = re.search(r'<td data-name="Task"><span><a href="([^"]*)"', client.get('/tasks').text)
        assert address
        for page in (
            address[1],
            *PAGES,
            f'/tasks?find={HOSTILE}',
            f'/tasks/{HOSTILE}!',
            f'/counts?window={HOSTILE}',
            f'/tasks?older={HOSTILE}',
            f'/{HOSTILE}',
        ):
            said = client.get(page).text.replace('<script src="/static/page.js" defer></script>', '', 1)
            assert '<script' not in said
            assert '<img' not in said
            assert ('{{ 7 * 7 }}' in said) == (page not in ('/failures', '/workers', f'/{HOSTILE}'))

    @pytest.mark.parametrize(
        ('address', 'status'),
        [
            ('/', 200),
            ('/counts', 200),
            ('/static/style.css', 200),
            ('/nowhere', 404),
            ('/tasks?older=x', 400),
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
        assert ids(client.get('/tasks').text) == ['7']
        postgres.stop()
        try:
            assert client.get('/').status_code == 503
        finally:
            postgres.start()
        assert ids(client.get('/tasks').text) == ['7']

    def test_without_tables_and_then_with_them(self, tmp_path: Path) -> None:
        url = f'sqlite:///{tmp_path}/empty.db'
        client = create_app(url).test_client()
        response = client.get('/')
        assert response.status_code == 503
        assert 'celery toolbox tables' in response.text
        upgrade(url)
        assert client.get('/').status_code == 200

    def test_a_role_that_may_not_read(self, upgraded: Database) -> None:
        response = create_app(url_of(upgraded, upgraded.role, upgraded.password)).test_client().get('/')
        assert response.status_code == 503
        assert 'permission denied' in response.text
