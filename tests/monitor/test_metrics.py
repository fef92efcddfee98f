"""The numbers of a monitor, and whether it says that it is well, while its servers come and go."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from celery import Celery

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.monitor import tally as tally_module
from cadasta.workertoolbox.monitor.message import Message
from cadasta.workertoolbox.monitor.metrics import answers
from cadasta.workertoolbox.monitor.presence import Lookout
from cadasta.workertoolbox.monitor.store import Stored
from cadasta.workertoolbox.monitor.tally import TOO_LONG, Tally
from rig.monitor.programs import Toolbox
from rig.servers.broker import PLATFORM_QUEUE, Broker
from rig.servers.postgres import ADMIN, ADMIN_PASSWORD, Database
from rig.servers.process import Process, Processes, wait_until
from rig.servers.prometheus import judge
from rig.servers.proxy import Proxy

from ..commands.running import run
from ..metrics.scraping import get, monitored, samples
from .test_streams import make_app


@pytest.fixture
def proxy(database: Database) -> Iterator[Proxy]:
    """The way to the database."""
    with closing(Proxy(database.server.port)) as proxy:
        yield proxy


@pytest.fixture
def monitor(tmp_path: Path, processes: Processes, broker: Broker, database: Database, proxy: Proxy) -> Process:
    """A monitor at work, whose ways to the broker and to the database can be cut."""
    url = f'postgresql://{ADMIN}:{ADMIN_PASSWORD}@127.0.0.1:{proxy.port}/{database.name}'
    toolbox = Toolbox(tmp_path, processes, broker, url)
    assert toolbox.start('tables').wait() == 0
    toolbox.environment.update(broker.proxied_environment)
    return toolbox.start('monitor', '--metrics-port', '0', '--linger', '0.05')


@pytest.mark.parametrize('broker', ['redis'], indirect=True)
def test_a_monitor_while_its_servers_come_and_go(broker: Broker, monitor: Process, proxy: Proxy) -> None:
    address = monitored(monitor)

    def health() -> tuple[int, str]:
        return get(f'{address}/healthz')

    def now() -> dict[str, float]:
        return samples(get(f'{address}/metrics')[1])

    wait_until(lambda: health() == (200, 'ok\n'), 'the monitor')
    assert (now()['toolbox_monitor_healthy'], now()['toolbox_monitor_errors_total peer=broker']) == (1, 0)
    app = make_app(broker)
    for _ in range(3):
        app.send_task('export.project')
    broker.put(PLATFORM_QUEUE, ['[42]'])
    wait_until(lambda: now()['toolbox_monitor_tasks_total'] == 3, 'the tasks')
    wait_until(lambda: now()['toolbox_monitor_rejected_total'] == 1, 'what is no task')
    assert now()['toolbox_monitor_batch_seconds_bucket le=+Inf'] == now()['toolbox_monitor_batch_seconds_count'] > 0
    assert now()['process_resident_memory_bytes'] > 2**20

    proxy.refuse()
    app.send_task('export.project')
    wait_until(lambda: health()[0] == 503, 'the outage of the database')
    assert health()[1].startswith('The database is away: ')
    assert ADMIN_PASSWORD not in health()[1]
    assert now()['toolbox_monitor_healthy'] == 0
    assert now()['toolbox_monitor_errors_total peer=database'] >= 1
    proxy.listen()
    wait_until(lambda: health()[0] == 200, 'the database')
    assert now()['toolbox_monitor_tasks_total'] == 4

    broker.refuse()
    wait_until(lambda: health()[0] == 503, 'the outage of the broker')
    assert health()[1].startswith('The broker is away: ')
    assert now()['toolbox_monitor_errors_total peer=broker'] >= 1
    behind = now()['toolbox_monitor_lag_seconds']
    wait_until(lambda: now()['toolbox_monitor_lag_seconds'] > behind, 'the lag to grow')
    broker.listen()
    wait_until(lambda: health()[0] == 200, 'the broker')
    assert monitor.stop() == 0


@pytest.mark.process
def test_promtool_takes_the_metrics() -> None:
    tally = Tally()
    assert tally.counted(7) == 7
    text = answers(tally)['/metrics']().body
    assert samples(text.decode())['toolbox_monitor_waiting_messages'] == 7
    assert judge('check', 'metrics', text=text) == ''


@pytest.mark.process
def test_a_port_that_is_taken(tmp_path: Path) -> None:
    app = Celery('metrics', set_as_current=False)
    app.config_from_object(Config(broker_url='memory://', result_backend=f'db+sqlite:///{tmp_path}/tasks.db'))
    with socket.create_server(('127.0.0.1', 0)) as other:
        port = other.getsockname()[1]
        result = run(app, 'monitor', '--once', '--metrics-port', str(port))
    assert result.exit_code == 1
    assert f'Error: Cannot listen on 127.0.0.1, port {port}: Address already in use' in result.output
    assert result.output.endswith('. Change --metrics-port or --metrics-host.\n')


def test_what_a_monitor_has_done_and_how_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(tally_module, 'time', SimpleNamespace(monotonic=lambda: now))
    tally = Tally()
    assert (tally.tasks, tally.rejected, tally.waiting) == (0, 0, None)
    assert tally.errors == {'broker': 0, 'database': 0}
    for go_on in (tally.begin, tally.move, tally.begin):
        go_on()
        now += TOO_LONG
        assert tally.trouble is None
        now += 1
        assert str(tally.trouble).startswith('The monitor has neither read nor stored anything for 121 s: look at its')
    assert tally.lag == 3 * (TOO_LONG + 1)
    tally.catch_up(now - 5)
    # A monitor that has connected again has not caught up yet.
    tally.catch_up(0)
    assert tally.lag == 5
    tally.failed('database', 'The database is away')
    assert (tally.trouble, tally.errors) == ('The database is away', {'broker': 0, 'database': 1})

    def write(messages: Sequence[Message]) -> Stored:
        nonlocal now
        now += 2
        return Stored(len(messages), 1)

    message = Message(None, b'')
    assert tally.measured(write, [message, message]) == Stored(2, 1)
    # Nothing is stored anew when a connection is.
    tally.measured(write, [])
    assert (tally.tasks, tally.rejected, tally.seconds.total) == (2, 1, 2)
    assert tally.counted(7) == tally.waiting == 7


def test_the_numbers_of_a_monitor() -> None:
    tally = Tally()

    def now() -> dict[str, float]:
        answer = answers(tally)['/metrics']()
        assert answer.status == 200
        return samples(answer.body.decode())

    assert now()['toolbox_monitor_healthy'] == 0
    tally.begin()
    assert now()['toolbox_monitor_healthy'] == 1
    tally.failed('database', 'The database is away')
    found = now()
    assert found['toolbox_monitor_healthy'] == 0
    assert [found[f'toolbox_monitor_errors_total peer={peer}'] for peer in ('broker', 'database')] == [0, 1]


class Told:
    """Writes nothing."""

    def tell(self, caught_up: float | None, is_end: bool = False) -> None: ...


class Busy:
    """A queue that is never empty, of which a monitor has read what was there at first."""

    def has_backlog(self) -> bool:
        return False


def test_the_lag_of_a_busy_monitor() -> None:
    lookout = Lookout(Busy(), Told(), once=False)  # type: ignore[arg-type]  # nobody asks it for messages
    assert lookout.caught_up == 0
    lookout.look(is_empty=False)
    marked = lookout.caught_up
    assert marked > 0
    lookout.look(is_empty=False)
    assert lookout.caught_up == marked
    lookout.look(is_empty=True)
    assert lookout.caught_up > marked
