"""The commands of the how-to read a task of the service, and the reference names all that the API has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from docutils import nodes

from cadasta.workertoolbox.ui.api.endpoints import ENDPOINTS, LONGEST, MOST
from cadasta.workertoolbox.ui.api.openapi import FAILURES, FAILURES_OF_USERS, path
from cadasta.workertoolbox.ui.app import create_app
from cadasta.workertoolbox.ui.views import TASKS, WORKFLOW
from rig.servers.process import Processes, free_port
from rig.servers.programs import find_program

from .manual import Block, Manual
from .service import Service, service_with_a_task
from .terminal import Terminal
from .test_reference import rows
from .test_watching import PORT

PAGES = ['howto/programs']
REFERENCE = 'reference/http'


@pytest.fixture
def service(tmp_path: Path, processes: Processes) -> Iterator[Service]:
    with service_with_a_task(tmp_path, processes) as service:
        yield service


def test_commands(manual: Manual, service: Service, processes: Processes) -> None:
    find_program('curl')
    port = str(free_port())

    def moved(block: Block) -> Block:
        # Another program may have the port of the page.
        return Block(block.page, block.language, block.caption, block.classes, block.text.replace(PORT, port))

    for block in manual.blocks(PAGES[0], 'python'):
        (service.directory / block.caption).write_text(moved(block).content)
    environment = {**service.environment, 'TOOLBOX_PORT': port}
    started, *others = manual.blocks(PAGES[0], 'console')
    server = Terminal(processes, environment, service.directory)
    server.follow(moved(started))
    client = Terminal(processes, environment, service.directory)
    for block in others:
        client.follow(moved(block))
    assert (service.directory / 'tasks.csv').read_text().splitlines()[1].startswith('0f3c,PENDING,')
    server.interrupt()


def test_addresses(manual: Manual) -> None:
    described = rows(manual.read(REFERENCE), 'Addresses')
    assert list(described) == [*(f'/api{path(endpoint)}' for endpoint in ENDPOINTS.values()), '/api/openapi.json']
    for endpoint in ENDPOINTS.values():
        page, text = described[f'/api{path(endpoint)}']
        assert page == ('A task' if endpoint.page == 'task' else endpoint.page.capitalize())
        assert text.startswith(f'{endpoint.key}: ' if endpoint.key else 'One, ')


def test_keys(manual: Manual) -> None:
    document = manual.read(REFERENCE)
    described = {address: cells[0].split() for address, cells in rows(document, 'Keys').items()}
    assert described == {
        f'/api{path(endpoint)}': list(endpoint.keys(endpoint.row in ('TaskInFull', 'Failure')))
        for endpoint in ENDPOINTS.values()
    }
    literals = {literal.astext() for literal in document.findall(nodes.literal)}
    assert {key for endpoint in ENDPOINTS.values() for key in endpoint.around} <= literals
    assert f'{LONGEST:,} characters' in document.astext()
    assert f'up to\n{WORKFLOW:,}' in document.astext()


def test_fields(manual: Manual) -> None:
    described = rows(manual.read(REFERENCE), 'Fields')
    names = {name for cell in described for name in cell.split(', ')}
    assert names == {name for endpoint in ENDPOINTS.values() for name in endpoint.fields}
    assert f'from 1 to {MOST:,}; {TASKS} unless' in described['limit'][1]
    for cell, (addresses, _) in described.items():
        for name in cell.split(', '):
            having = {path(endpoint).split('/')[1] for endpoint in ENDPOINTS.values() if name in endpoint.fields}
            assert having == set(addresses.split(', ')) or addresses == 'all but openapi.json'


def test_statuses(manual: Manual) -> None:
    assert {int(status) for status in rows(manual.read(REFERENCE), 'Statuses')} == {200, *FAILURES, *FAILURES_OF_USERS}


def test_a_refusal(manual: Manual, tmp_path: Path) -> None:
    (block,) = manual.blocks(REFERENCE, 'json')
    response = create_app(f'sqlite:///{tmp_path}/tasks.db').test_client().get('/api/counts?window=year')
    assert json.loads(block.text) == json.loads(response.text)
    assert not re.search(r'\n.', block.text)
