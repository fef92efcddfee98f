"""Prometheus scrapes a monitor and a page, and takes the rules and each query of the dashboard."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from cadasta.workertoolbox.database.upgrade import upgrade_outbox
from rig.monitor.programs import Toolbox
from rig.servers.filesystem import FilesystemBroker
from rig.servers.process import PATIENCE, Processes, wait_until
from rig.servers.prometheus import Prometheus, judge
from rig.servers.started import started

from ..commands.ended import app_of
from ..ui.seed import Seed
from ..ui.test_metrics import report
from .scraping import get, monitored, samples

ROOT = Path(__file__).parents[2]
FILES = ROOT / 'examples' / 'prometheus'
RULES = [rule for group in yaml.safe_load((FILES / 'rules.yml').read_text())['groups'] for rule in group['rules']]
DASHBOARD = json.loads((FILES / 'dashboard.json').read_text())
NAME = re.compile(r'\btoolbox_\w+')
#: A monitor asks the broker for it each 30 seconds.
LATE = 'toolbox_monitor_waiting_messages'


def queries() -> Iterator[str]:
    """Gives the queries of the rules and the dashboard, as Grafana sends them."""
    yield from (rule['expr'] for rule in RULES)
    for panel in DASHBOARD['panels']:
        yield from (target['expr'].replace('$__rate_interval', '1m') for target in panel['targets'])


@pytest.fixture
def addresses(tmp_path: Path, processes: Processes) -> Iterator[dict[str, str]]:
    """A monitor that has stored a task, and the page, by the name of their job. Their database has an outbox."""
    seed = Seed(f'sqlite:///{tmp_path}/tasks.db')
    seed.project()
    report(seed, 'a', 'export')
    upgrade_outbox(seed.url)
    with closing(FilesystemBroker(tmp_path)) as broker:
        app_of(broker).send_task('export.project')
        toolbox = Toolbox(tmp_path, processes, broker, seed.url)
        page = toolbox.start('ui', '--port', '0')
        monitor = monitored(toolbox.start('monitor', '--metrics-port', '0'))
        wait_until(lambda: samples(get(f'{monitor}/metrics')[1])['toolbox_monitor_tasks_total'] == 1, 'the task')
        yield {'toolbox-monitor': monitor, 'toolbox-page': page.wait_for(r'^http://\S+/$')[0]}


@pytest.fixture
def prometheus(addresses: dict[str, str], tmp_path: Path) -> Iterator[Prometheus]:
    """A server with the files of the manual, which looks more often."""
    directory = tmp_path / 'prometheus'
    directory.mkdir()
    configuration = yaml.safe_load((FILES / 'prometheus.yml').read_text())
    configuration['global']['scrape_interval'] = '5s'
    for job in configuration['scrape_configs']:
        job['static_configs'] = [{'targets': [addresses[job['job_name']].strip('/').removeprefix('http://')]}]
    (directory / 'prometheus.yml').write_text(yaml.safe_dump(configuration))
    (directory / 'rules.yml').write_text((FILES / 'rules.yml').read_text())
    with started(Prometheus(directory)) as server:
        yield server


def test_prometheus(prometheus: Prometheus, addresses: dict[str, str]) -> None:
    names = {name for query in queries() for name in NAME.findall(query)} - {LATE}

    def known() -> set[str]:
        return {name for name in prometheus.get('label/__name__/values') if name.startswith('toolbox_')}

    wait_until(lambda: names <= known(), f'{names} to be scraped', 2 * PATIENCE)
    assert {sample['metric']['job'] for sample in prometheus.query('toolbox_info or toolbox_monitor_info')} == set(
        addresses
    )
    for query in queries():
        # A query that Prometheus does not understand is an error.
        prometheus.query(query)
    rules = prometheus.get('rules')['groups'][0]['rules']
    assert [rule['name'] for rule in rules] == [rule['alert'] for rule in RULES]
    manual = (ROOT / 'docs/howto/prometheus.rst').read_text()
    described = {re.sub('_(bucket|sum|count)$', '', name) for name in known() | {LATE}}
    assert {name for name in described if f'``{name}``' not in manual} == set()


@pytest.mark.process
def test_rules(tmp_path: Path) -> None:
    """Alarms are raised for what they are meant for, and for nothing else."""
    (tmp_path / 'rules.yml').write_text((FILES / 'rules.yml').read_text())
    ended = 'toolbox_tasks_ended_total{name="%s",standing="%s"}'
    series = {
        ended % ('export.bad', 'failed'): '0+2x60',
        ended % ('export.bad', 'succeeded'): '0+8x60',
        ended % ('export.good', 'failed'): '0x60',
        ended % ('export.good', 'succeeded'): '0+9x60',
        'toolbox_queue_tasks{queue="export"}': '7x60',
        'toolbox_queue_consumers{queue="export"}': '0x60',
        'toolbox_queue_tasks{queue="msg"}': '7x60',
        'toolbox_queue_consumers{queue="msg"}': '1x60',
        'toolbox_monitors': '1x60',
        'toolbox_outbox_oldest_seconds': '7x60',
        'toolbox_outbox_kept': '3x60',
        'up{job="toolbox-monitor",instance="m:1"}': '1x60',
        'toolbox_monitor_healthy{job="toolbox-monitor",instance="m:1"}': '0x60',
    }
    summaries = {rule['alert']: (rule['annotations']['summary'], rule['labels']) for rule in RULES}

    def raised(alert: str, **labels: str) -> dict[str, Any]:
        text, own = summaries[alert]
        for name, value in labels.items():
            text = text.replace(f'{{{{ $labels.{name} }}}}', value)
        text = text.replace('{{ $value | humanizePercentage }}', '20%').replace('{{ $value }}', '3')
        return {'exp_labels': {**labels, **own}, 'exp_annotations': {'summary': text}}

    expected: dict[str, list[Any]] = {alert: [] for alert in summaries} | {
        'OutboxKeepsMessages': [raised('OutboxKeepsMessages')],
        'TasksFail': [raised('TasksFail', name='export.bad')],
        'QueueWithoutConsumer': [raised('QueueWithoutConsumer', queue='export')],
        'MonitorUnhealthy': [raised('MonitorUnhealthy', job='toolbox-monitor', instance='m:1')],
    }
    case = {
        'interval': '1m',
        'input_series': [{'series': name, 'values': values} for name, values in series.items()],
        'alert_rule_test': [
            {'eval_time': '30m', 'alertname': alert, 'exp_alerts': alerts} for alert, alerts in expected.items()
        ],
    }
    (tmp_path / 'case.yml').write_text(yaml.safe_dump({'rule_files': ['rules.yml'], 'tests': [case]}))
    assert judge('check', 'rules', FILES / 'rules.yml') == ''
    assert judge('test', 'rules', tmp_path / 'case.yml') == ''
