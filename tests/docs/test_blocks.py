"""A test runs every code block of the manual, or reads it as the program does that it is written for."""

from __future__ import annotations

import configparser
import json
import os
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
import yaml

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.database.connection import engine

from . import (
    test_aws,
    test_brokers,
    test_celery,
    test_deployment,
    test_django,
    test_errors,
    test_measured,
    test_missing,
    test_outbox,
    test_postgresql,
    test_programs,
    test_prometheus,
    test_reference,
    test_release,
    test_retention,
    test_scale,
    test_teams,
    test_tutorial,
    test_watching,
    test_webservers,
    test_workers,
)
from .manual import DOCS, ROOT, Block, Manual
from .service import variables

PAGES = sorted(str(path.relative_to(DOCS).with_suffix('')) for path in DOCS.rglob('*.rst'))

#: The pages whose commands, statements and files the tests of a module run: see `every_block_is_run`.
RUN = {
    page
    for module in (
        test_aws,
        test_brokers,
        test_celery,
        test_deployment,
        test_django,
        test_errors,
        test_measured,
        test_missing,
        test_outbox,
        test_postgresql,
        test_programs,
        test_prometheus,
        test_reference,
        test_release,
        test_retention,
        test_scale,
        test_teams,
        test_tutorial,
        test_watching,
        test_webservers,
        test_workers,
    )
    for page in module.PAGES
}


def test_pages(manual: Manual) -> None:
    assert manual.pages == PAGES


@pytest.mark.parametrize('page', PAGES)
def test_blocks(manual: Manual, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for block in manual.blocks(page):
        if block.must_be_run:
            assert block.page in RUN
        else:
            READERS[block.language](block, monkeypatch)


def read_python(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs a block that is no file. It may change the environment."""
    with mock.patch.dict(os.environ):
        exec(compile(block.text, block.page, 'exec'), {'__name__': '__main__'})


def read_variables(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    """`Config` understands the variables."""
    with monkeypatch.context() as patch:
        for name, value in variables(block.text).items():
            patch.setenv(name, value)
            if name == 'TOOLBOX_DATABASE':
                engine(value)
        config = Config()
        for name, value in variables(block.text).items():
            if name.startswith('RESULT_DB_'):
                assert config[name] == value
            elif name == 'CELERY_BROKER_TRANSPORT_OPTIONS':
                assert json.loads(value).items() <= config.broker_transport_options.items()


def read_ini(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    text = block.text if '[' in block.text else f'[top]\n{block.text}'
    assert configparser.RawConfigParser(strict=False).read_string(text) is None


def read_by(read: Callable[[str], Any]) -> Callable[[Block, pytest.MonkeyPatch], None]:
    return lambda block, monkeypatch: read(block.text) and None


READERS: dict[str, Callable[[Block, pytest.MonkeyPatch], None]] = {
    'docker': lambda block, monkeypatch: None,
    'ini': read_ini,
    'json': read_by(json.loads),
    # Its test gives it to nginx.
    'nginx': lambda block, monkeypatch: None,
    'python': read_python,
    'sh': read_variables,
    'text': lambda block, monkeypatch: None,
    'yaml': read_by(lambda text: list(yaml.safe_load_all(text))),
}


def test_markers_of_included_parts_exist() -> None:
    """A misspelt marker would include the rest of the file."""
    for page in PAGES:
        text = (DOCS / f'{page}.rst').read_text()
        for line in text.splitlines():
            option, _, marker = line.strip().rpartition(': ')
            if option in (':start-after', ':end-before'):
                assert (ROOT / 'CHANGELOG.rst').read_text().splitlines().count(marker) == 1, marker
