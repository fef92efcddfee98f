"""`celery -A project toolbox topology`: as text, and for documents."""

from __future__ import annotations

import re
import socket
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pydot
import pytest
from celery import Celery
from kombu import Exchange, Queue

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.diagram import Diagram, diagram_of
from rig.monitor.programs import Toolbox
from rig.servers.broker import Broker
from rig.servers.process import Processes

from ..conformance.apps import add, make_app
from .running import on_terminal, run, seen

#: Names that mean something to Mermaid, Graphviz, XML, rich or a terminal.
EVIL = ('export."q"; <b>&amp;</b> \\l\\N [bold]x[/bold]', 'export.größe→', 'export.]) end --> %%{init}%%')
SVG = '{http://www.w3.org/2000/svg}'


def app_with(*tasks: str, **settings: Any) -> Celery:
    app = make_app(**{'broker_url': 'memory://', **settings})
    for name in tasks:
        add(app, name)
    return app


def facts(output: str) -> list[list[str]]:
    return [re.split(' {2,}', line) for line in output.splitlines()]


def test_lines_for_programs() -> None:
    result = run(app_with(), 'topology')
    assert result.exit_code == 0
    assert [fact for fact in facts(result.output) if not fact[1].startswith('celery.')] == [
        ['exchange', 'task_exchange', 'topic'],
        ['queue', 'export', 'export'],
        ['queue', 'msg', 'msg'],
        ['queue', 'celery', 'celery'],
        ['queue', 'platform.fifo', 'platform.fifo'],
        ['binding', 'task_exchange', 'export', 'export'],
        ['binding', 'task_exchange', 'msg', 'msg'],
        ['binding', 'task_exchange', 'celery', 'celery'],
        ['binding', 'task_exchange', '#', 'platform.fifo'],
        ['task', 'export.project', 'export'],
        ['task', 'msg.send', 'msg'],
    ]
    assert facts(result.output)[-1][0:2] == ['task', 'celery.starmap']


def test_a_task_that_no_queue_serves_is_lost() -> None:
    (lost,) = (line for line in run(app_with('import.project'), 'topology').output.splitlines() if 'import' in line)
    assert lost.startswith("lost  import.project  Task 'import.project' was not sent: no work queue serves its ")
    assert "Add 'import' to the QUEUES of this app's Config" in lost


def test_tasks_go_where_their_options_and_the_apps_routers_say() -> None:
    app = app_with(task_routes=[{'nobody.*': {'queue': 'msg'}}])
    add(app, 'export.explicit', queue='msg')
    add(app, 'nobody.knows')
    output = run(app, 'topology').output
    assert {tuple(fact) for fact in facts(output)} >= {
        ('task', 'export.explicit', 'msg'),
        ('task', 'nobody.knows', 'msg'),
        ('task', 'msg.send', 'msg'),
    }


def test_a_message_to_nowhere_and_a_task_that_cannot_be_sent_are_lost() -> None:
    app = app_with()
    app.conf.task_routes = {'export.project': {'exchange': 'elsewhere', 'routing_key': 'nowhere'}}
    add(app, 'export.unreadable', serializer='no-such-serializer')
    lost = dict(diagram_of(app).lost)
    assert lost['export.project'] == 'Its message reaches no work queue. `celery toolbox check` says what to change.'
    assert lost['export.unreadable'].startswith('It cannot be sent: SerializerNotInstalled: ')


def test_queues_of_several_exchanges_and_bindings() -> None:
    other = Exchange('legacy', 'direct')
    app = app_with(
        task_queues=[
            Queue('celery'),
            Queue('export'),
            Queue('msg'),
            Queue('old', [other.binding('a'), other.binding('b')]),
        ]
    )
    output = run(app, 'topology').output
    assert {tuple(fact) for fact in facts(output)} >= {
        ('exchange', 'legacy', 'direct'),
        ('binding', 'legacy', 'a', 'old'),
        ('binding', 'legacy', 'b', 'old'),
    }
    assert [fact for fact in facts(output) if fact[:2] == ['queue', 'old']] == [['queue', 'old', 'old']]


def test_queues_that_the_router_makes() -> None:
    output = run(app_with('new.project', task_create_missing_queues=True), 'topology').output
    assert {tuple(fact) for fact in facts(output)} >= {
        ('binding', 'task_exchange', 'new', 'new'),
        ('task', 'new.project', 'new'),
    }


def test_names_at_the_broker_on_sqs() -> None:
    output = run(app_with(broker_url='sqs://', QUEUE_PREFIX='live'), 'topology').output
    assert ['queue', 'platform.fifo', 'live-platform.fifo'] in facts(output)


@pytest.mark.parametrize('format_', ['text', 'mermaid', 'dot', 'svg'])
def test_no_connection_is_opened(format_: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> None:
        raise AssertionError('a connection was opened')

    monkeypatch.setattr(socket.socket, 'connect', refuse)
    app = app_with(broker_url='amqp://ada:hush@127.0.0.1:1//')
    result = run(app, 'topology', '--format', format_)
    assert result.exit_code == 0
    assert 'hush' not in result.output


def test_an_app_without_a_config() -> None:
    result = run(Celery('plain', set_as_current=False, broker='memory://'), 'topology')
    assert result.exit_code == 1
    assert "Error: App 'plain' is not configured by a Config" in result.output
    assert 'app.config_from_object(Config(QUEUES=[…]))' in result.output


def test_a_task_module_that_cannot_be_imported() -> None:
    result = run(app_with(include=['no_such_module']), 'topology')
    assert result.exit_code == 1
    assert "Error: Task module 'no_such_module' of app 'export' cannot be imported" in result.output


def test_tree_on_a_terminal() -> None:
    output = run(app_with(*EVIL, 'import.project'), 'topology', FORCE_COLOR='1', COLUMNS='100').output
    lines = seen(output)
    for line in (
        'task_exchange topic exchange',
        '├── export → export',
        *(f'│ ├── {name}' for name in EVIL),
        '│ └── export.project',
        '├── msg → msg',
        '└── # → platform.fifo a copy of every message',
        'lost',
        '└── import.project',
    ):
        assert line in lines, line
    assert lines[-3].startswith("└── Task 'import.project' was not sent: no work queue serves its routing key 'import'")
    assert '\x1b[31m' in output


def test_names_cannot_steer_a_terminal() -> None:
    assert run(app_with('export.\x1b[31mred\nnew'), 'topology', FORCE_COLOR='1').output.count('\ufffd[31mred new') == 1


@pytest.mark.parametrize('names', [(), EVIL, [f'export.task{number}' for number in range(100)]])
class TestDocuments:
    """The formats for documents say the same as the text, whatever the names are."""

    @pytest.fixture
    def app(self, names: tuple[str, ...]) -> Celery:
        return app_with(*names, 'import.project')

    @pytest.fixture
    def diagram(self, app: Celery) -> Diagram:
        return diagram_of(app)

    def texts(self, diagram: Diagram) -> set[str]:
        queues = [queue for exchange in diagram.exchanges for queue in exchange.queues]
        return {
            *(line for queue in queues for line in (*queue.caption, *queue.keys, *queue.tasks)),
            *(f'lost: {lost.task}' for lost in diagram.lost),
        }

    def test_svg(self, app: Celery, diagram: Diagram) -> None:
        svg = ElementTree.fromstring(run(app, 'topology', '--format', 'svg').output)
        assert self.texts(diagram) <= {text.text for text in svg.iter(f'{SVG}text')}
        width, height = float(svg.attrib['width']), float(svg.attrib['height'])
        for box in svg.iter(f'{SVG}rect'):
            assert float(box.attrib.get('x', 0)) + float(box.attrib['width']) <= width
            assert float(box.attrib.get('y', 0)) + float(box.attrib['height']) <= height
        baselines = [(text.attrib['x'], float(text.attrib['y'])) for text in svg.iter(f'{SVG}text')]
        # No text is on top of another.
        assert len(set(baselines)) == len(baselines)
        assert max(y for _, y in baselines) < height

    @pytest.mark.filterwarnings('ignore::DeprecationWarning:pydot')
    @pytest.mark.long
    def test_dot(self, app: Celery, diagram: Diagram) -> None:
        (graph,) = pydot.graph_from_dot_data(run(app, 'topology', '--format', 'dot').output)
        labels = [item.get('label') for item in (*graph.get_nodes(), *graph.get_edges()) if item.get('label')]
        assert self.texts(diagram) <= {line for label in labels for line in self.shown(label)}
        names = {node.get_name() for node in graph.get_nodes()}
        assert all({edge.get_source(), edge.get_destination()} <= names for edge in graph.get_edges())

    @staticmethod
    def shown(label: str) -> list[str]:
        """Reads a quoted label as Graphviz does."""
        characters = re.findall(r'\\.|&#?\w+;|.', label[1:-1], re.DOTALL)
        meaning = {'\\n': '\n', '\\l': '\n', '&amp;': '&'}
        text = ''.join(
            meaning.get(c) or (chr(int(c[2:-1])) if c.startswith('&#') else c.removeprefix('\\') or c)
            for c in characters
        )
        return text.split('\n')

    def test_mermaid(self, app: Celery, diagram: Diagram) -> None:
        lines = run(app, 'topology', '--format', 'mermaid').output.splitlines()
        assert lines[0] == 'flowchart LR'
        labels = [label for line in lines for label in re.findall(r'"([^"]*)"', line)]
        shown = {
            re.sub(r'#(\d+);', lambda match: chr(int(match[1])), part)
            for label in labels
            for part in label.split('<br/>')
        }
        assert self.texts(diagram) <= shown
        for line in lines[1:]:
            # Outside of labels is nothing that a name could have put there.
            assert re.fullmatch(
                r'    (?:[eqt]\d[\d_]*|lost\d+|classDef .*)?(?:\{\{|\(\[|\[)?(?:"")?[\]})]*(?::::[a-z]+)?'
                r'(?: (?:--|==|---|-\.-x)(?: "" (?:--|==)>)? (?:[qt]\d+_\d+|lost\d+)(?:\[""\])?(?::::tasks)?)?',
                re.sub(r'"[^"]*"', '""', line),
            ), line

    def test_ascii(self, app: Celery) -> None:
        for format_ in ('svg', 'dot', 'mermaid'):
            assert run(app, 'topology', '--format', format_).output.isascii()


@pytest.mark.long
def test_a_hundred_queues() -> None:
    app = app_with(QUEUES=[f'queue{number}' for number in range(100)])
    svg = ElementTree.fromstring(run(app, 'topology', '--format', 'svg').output)
    boxes = [box for box in svg.iter(f'{SVG}rect') if box.attrib['class'] in ('queue', 'platform')]
    assert len(boxes) == 102
    tops = [float(box.attrib['y']) for box in boxes]
    ends = [top + float(box.attrib['height']) for top, box in zip(tops, boxes, strict=True)]
    assert all(end < top for end, top in zip(ends, tops[1:], strict=False))


@pytest.mark.parametrize('broker', ['memory'], indirect=True)
class TestProcess:
    """The real program, on a terminal and in a pipe."""

    @pytest.fixture
    def toolbox(self, tmp_path: Path, processes: Processes, broker: Broker) -> Toolbox:
        return Toolbox(tmp_path, processes, broker, 'sqlite://')

    def test_in_a_pipe(self, toolbox: Toolbox) -> None:
        process = toolbox.start('topology', PYTHONIOENCODING='ascii')
        assert process.wait() == 0
        assert process.log.startswith('exchange  task_exchange  topic\n')
        assert '\x1b' not in process.log

    @pytest.mark.parametrize(('encoding', 'arrow'), [('utf-8', '→'), ('ascii', '->')])
    def test_on_a_terminal(self, toolbox: Toolbox, encoding: str, arrow: str) -> None:
        output = on_terminal(
            [sys.executable, '-m', 'celery', '--no-color', '-A', 'project', 'toolbox', 'topology'],
            {**toolbox.environment, 'PYTHONIOENCODING': encoding, 'TERM': 'xterm'},
        )
        assert seen(output)[-1].endswith(f'# {arrow} platform.fifo a copy of every message')
        assert output.isascii() == (encoding == 'ascii')
        # The colours of a terminal have numbers from 30 on.
        assert not re.search(r'\x1b\[[0-9;]*[34]\d', output)


def test_config_is_what_makes_the_difference() -> None:
    app = Celery('dict', set_as_current=False)
    app.config_from_object(Config(broker_url='memory://').to_dict())
    assert run(app, 'topology').exit_code == 1
