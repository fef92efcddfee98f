"""Every code block of the manual is run, or read by what it is written for."""

from __future__ import annotations

import ast
import configparser
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.database.connection import engine

from .manual import DOCS, ROOT, Block, Manual
from .service import variables

PAGES = sorted(str(path.relative_to(DOCS).with_suffix('')) for path in DOCS.rglob('*.rst'))

#: Pages whose commands and statements a test runs, each of them.
RUN = {
    'tutorial': 'test_tutorial.py',
    'howto/aws': 'test_aws.py',
    'howto/rabbitmq': 'test_brokers.py',
    'howto/redis': 'test_brokers.py',
    'howto/postgresql': 'test_postgresql.py',
    'howto/migrating': 'test_postgresql.py',
    'explanation/measured': 'test_measured.py',
    'explanation/scale': 'test_scale.py',
}


def test_pages(manual: Manual) -> None:
    assert manual.pages == PAGES


@pytest.mark.parametrize('page', PAGES)
def test_blocks(manual: Manual, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for block in manual.blocks(page):
        READERS[block.language](block, monkeypatch)


def is_run(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    assert f"'{block.page}'" in (Path(__file__).parent / RUN[block.page]).read_text()


def read_python(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is run together with others, and all else by itself."""
    ast.parse(block.text)
    if block.caption:
        is_run(block, monkeypatch)
    else:
        exec(compile(block.text, block.page, 'exec'), {})


def read_variables(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment says is understood."""
    if block.caption != 'environment':
        return is_run(block, monkeypatch)
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
    return None


def read_ini(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    text = block.text if '[' in block.text else f'[top]\n{block.text}'
    assert configparser.RawConfigParser(strict=False).read_string(text) is None


def read_by(read: Callable[[str], Any]) -> Callable[[Block, pytest.MonkeyPatch], None]:
    return lambda block, monkeypatch: read(block.text) and None


READERS: dict[str, Callable[[Block, pytest.MonkeyPatch], None]] = {
    'console': is_run,
    'docker': lambda block, monkeypatch: None,
    'ini': read_ini,
    'json': read_by(json.loads),
    'postgresql': is_run,
    'python': read_python,
    'sh': read_variables,
    'sql': is_run,
    'text': lambda block, monkeypatch: None,
    'yaml': read_by(lambda text: list(yaml.safe_load_all(text))),
}


def test_what_is_included_has_an_end() -> None:
    """A marker that is misspelt would include the rest of the file."""
    for page in PAGES:
        text = (DOCS / f'{page}.rst').read_text()
        for line in text.splitlines():
            option, _, marker = line.strip().rpartition(': ')
            if option in (':start-after', ':end-before'):
                assert (
                    sum(marker in (ROOT / name).read_text().splitlines() for name in ('README.rst', 'CHANGELOG.rst'))
                    == 1
                ), marker
