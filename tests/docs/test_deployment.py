"""systemd, Docker and Kubernetes accept the units, the image and the manifests of the how-to on deployment."""

from __future__ import annotations

import configparser
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from dockerfile_parse import DockerfileParser

from cadasta.workertoolbox.commands import toolbox
from rig.servers.filesystem import FilesystemBroker
from rig.servers.process import Process, Processes
from rig.servers.programs import find_program

from .manual import Manual
from .service import Service, sqlite

pytestmark = pytest.mark.slow

(PAGE,) = PAGES = ['howto/deployment']
SERVICES = {name: f'export-{name}.service' for name in ('worker', 'monitor', 'page', 'prune', 'relay')}


class Unit(configparser.RawConfigParser):
    """A unit file: a name that comes twice, such as `SystemCallFilter`, is a list."""

    def __init__(self) -> None:
        super().__init__(strict=False, delimiters=('=',), comment_prefixes=('#',), interpolation=None)

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def unit(manual: Manual, name: str) -> str:
    """A complete unit. The others are the unit of the worker with some lines replaced."""
    text = manual.file(PAGE, SERVICES['worker'])
    changes = Unit()
    if name != 'worker':
        changes.read_string(manual.file(PAGE, SERVICES[name]))
    sections = {section: dict(changes[section]) for section in changes.sections()}
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith('['):
            section = line.strip('[]')
            lines += [line, *(f'{key}={value}' for key, value in sections.get(section, {}).items())]
        elif line.partition('=')[0] not in sections.get(section, {}):
            lines.append(line)
    return '\n'.join(lines)


@pytest.mark.parametrize('name', SERVICES)
def test_systemd_takes_the_unit(manual: Manual, name: str, tmp_path: Path) -> None:
    program = find_program('systemd-analyze')
    celery = tmp_path / 'celery'
    celery.touch(0o755)
    file = tmp_path / SERVICES[name]
    file.write_text(unit(manual, name).replace('/srv/export/.venv/bin/celery', str(celery)) + '\n')
    verified = subprocess.run([program, 'verify', file], capture_output=True, text=True)
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, '')
    # From 0, which is safe, to 100.
    secure = subprocess.run(
        [program, 'security', '--offline=true', '--threshold=20', file], capture_output=True, text=True
    )
    assert secure.returncode == 0, secure.stdout


def test_systemd_takes_the_timer(manual: Manual, tmp_path: Path) -> None:
    program = find_program('systemd-analyze')
    celery = tmp_path / 'celery'
    celery.touch(0o755)
    for name in ('export-check.service', 'export-check.timer'):
        text = manual.file(PAGE, name).replace('/srv/export/.venv/bin/celery', str(celery))
        (tmp_path / name).write_text(f'{text}\n')
    # The reader has a unit that tells somebody.
    (tmp_path / 'tell-operator@.service').write_text(f'[Service]\nType=oneshot\nExecStart={celery}\n')
    verified = subprocess.run(
        [program, 'verify', 'export-check.timer', 'export-check.service'],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, 'SYSTEMD_UNIT_PATH': f'{tmp_path}:'},
    )
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, '')


@pytest.mark.parametrize('name', SERVICES)
def test_unit_stops_the_service_softly(manual: Manual, name: str) -> None:
    read = Unit()
    read.read_string(unit(manual, name))
    assert read['Service']['KillMode'] == 'mixed'
    assert read['Service']['TimeoutStopSec'] == ('10min' if name == 'worker' else '30')


@pytest.fixture
def dockerfile(manual: Manual) -> DockerfileParser:
    return DockerfileParser(fileobj=BytesIO(f'{manual.file(PAGE, "Dockerfile")}\n'.encode()))


def commands(manual: Manual, dockerfile: DockerfileParser) -> Iterator[list[str]]:
    """The arguments that each way of deployment gives to `celery`."""
    instructions = {item['instruction']: item['value'] for item in dockerfile.structure}
    entry = json.loads(instructions['ENTRYPOINT'])
    assert entry == ['celery', '-A', 'export']
    yield [*entry[1:], *json.loads(instructions['CMD'])]
    for service in yaml.safe_load(manual.file(PAGE, 'compose.yaml'))['services'].values():
        yield [*entry[1:], *service['command']]
    for container in containers(manual).values():
        yield [*entry[1:], *container['args']]
    for name in SERVICES:
        read = Unit()
        read.read_string(unit(manual, name))
        yield shlex.split(read['Service']['ExecStart'])[1:]


def containers(manual: Manual) -> dict[str, Any]:
    """The containers of the manifests, by name."""
    specs = (document['spec']['template']['spec'] for document in manifests(manual))
    return {container['name']: container for spec in specs for container in spec['containers']}


def manifests(manual: Manual) -> list[Any]:
    return list(yaml.safe_load_all(manual.file(PAGE, 'export.yaml')))


def test_commands_are_those_of_celery(manual: Manual, dockerfile: DockerfileParser, tmp_path: Path) -> None:
    (tmp_path / 'export.py').write_text('from celery import Celery\napp = Celery()\n')
    shown = list(commands(manual, dockerfile))
    assert len(shown) == 13
    for arguments in {tuple(arguments) for arguments in shown}:
        # Celery parses the options, and refuses an unknown one, before it shows the help.
        run = subprocess.run(
            [sys.executable, '-m', 'celery', *arguments, '--help'],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={**os.environ, 'PYTHONPATH': str(tmp_path)},
        )
        assert run.returncode == 0, run.stderr


def test_image_has_what_the_manual_shows(manual: Manual, dockerfile: DockerfileParser) -> None:
    copied = [item['value'].split()[0] for item in dockerfile.structure if item['instruction'] == 'COPY']
    shown = {block.caption for block in manual.blocks(PAGE)}
    assert copied == ['requirements.txt', 'export']
    assert 'requirements.txt' in shown
    assert [item['value'] for item in dockerfile.structure if item['instruction'] == 'USER'] == ['10001']


def test_compose_file(manual: Manual) -> None:
    services = yaml.safe_load(manual.file(PAGE, 'compose.yaml'))['services']
    assert services['worker']['stop_grace_period'] == '10m'
    shown = {block.caption for block in manual.blocks(PAGE)}
    assert {service['env_file'] for service in services.values()} <= shown
    probe = containers(manual)['monitor']['readinessProbe']['exec']['command']
    assert services['monitor']['healthcheck']['test'] == ['CMD', *probe]


def test_manifests(manual: Manual) -> None:
    for document in manifests(manual):
        assert (document['apiVersion'], document['kind']) == ('apps/v1', 'Deployment')
        template = document['spec']['template']
        assert document['spec']['selector']['matchLabels'] == template['metadata']['labels']
        volumes = {volume['name'] for volume in template['spec']['volumes']}
        for container in template['spec']['containers']:
            assert {mount['name'] for mount in container['volumeMounts']} <= volumes
            assert container['securityContext']['readOnlyRootFilesystem'] is True


def test_probes(manual: Manual, tmp_path: Path) -> None:
    monitor, ready = containers(manual)['monitor'], tmp_path / 'ready'
    assert monitor['args'][-2:] == ['--ready-file', '/tmp/ready']

    def probe(kind: str) -> bool:
        command = [word.replace('/tmp/ready', str(ready)) for word in monitor[kind]['exec']['command']]
        return subprocess.run(command).returncode == 0

    assert (probe('readinessProbe'), probe('livenessProbe')) == (False, True)
    ready.touch()
    assert (probe('readinessProbe'), probe('livenessProbe')) == (True, True)
    long_ago = time.time() - 600
    os.utime(ready, (long_ago, long_ago))
    assert (probe('readinessProbe'), probe('livenessProbe')) == (True, False)


def test_probes_over_http(manual: Manual) -> None:
    for container in (yaml.safe_load(manual.file(PAGE, 'monitor.yaml')), containers(manual)['page']):
        (port,) = container['ports']
        probe = container['readinessProbe']['httpGet']
        assert (probe['path'], probe['port']) == ('/healthz', port['name'])
        _, command, *arguments = container['args']
        given = toolbox.commands[command].make_context(command, arguments).params
        assert given.get('metrics_port', given.get('port')) == port['containerPort']
        assert given.get('metrics_host', given.get('host')) == '0.0.0.0'


def test_users_of_the_page(manual: Manual) -> None:
    """The page finds the file that systemd or Kubernetes puts there, and others cannot read it."""
    read = Unit()
    read.read_string(unit(manual, 'page'))
    name, _, source = read['Service']['LoadCredential'].partition(':')
    assert read['Service']['ExecStart'].endswith(f' --users %d/{name}')
    assert source.startswith('/etc/export/')
    (spec,) = (
        document['spec']['template']['spec']
        for document in manifests(manual)
        if document['metadata']['name'] == 'task-page'
    )
    (container,) = spec['containers']
    mounted = {mount['name']: mount['mountPath'] for mount in container['volumeMounts']}
    assert container['args'][-2:] == ['--users', f'{mounted["users"]}/users']
    (secret,) = (volume['secret'] for volume in spec['volumes'] if volume['name'] == 'users')
    assert secret['defaultMode'] == 0o440
    assert spec['securityContext']['fsGroup'] == 10001


@pytest.fixture
def service(manual: Manual, processes: Processes, tmp_path: Path) -> Iterator[Service]:
    """The service, with the page's way to log."""
    broker = FilesystemBroker(tmp_path)
    service = Service(processes, {**broker.environment, **sqlite(tmp_path)})
    package = service.directory / 'export'
    (package / 'logs.py').write_text(manual.file(PAGE, 'export/logs.py'))
    with (package / 'celery.py').open('a') as code:
        code.write('from . import logs\n')
    service.run('-m', 'celery', '-A', 'export', 'toolbox', 'tables')
    yield service
    broker.close()


def lines(text: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in text.splitlines()]


def test_worker_and_monitor_log_json_lines(service: Service) -> None:
    worker: Process = service.start(
        *('-m', 'celery', '-A', 'export', 'worker', '-l', 'INFO', '--pool', 'solo'),
        *('--logfile', str(service.directory / '%n.log'), '-n', 'one@host'),
    )
    service.run('-c', 'from export.tasks import project; project.delay(1).get(timeout=60)')
    assert worker.stop() == 0
    logged = lines((service.directory / 'one.log').read_text())
    (succeeded,) = (line for line in logged if ' succeeded in ' in line['message'])
    assert (succeeded['level'], succeeded['logger']) == ('INFO', 'celery.app.trace')
    (retried,) = (line for line in logged if ' retry: ' in line['message'])
    assert retried['task'] == 'export.project'
    assert f'Task export.project[{retried["task_id"]}]' in retried['message']
    monitor = service.start('-m', 'celery', '-A', 'export', 'toolbox', 'monitor', '--once')
    assert monitor.wait() == 0, monitor.log
    (ready,) = lines(monitor.log)
    assert (ready['level'], ready['message']) == ('INFO', 'Ready: storing what the platform queue holds')
