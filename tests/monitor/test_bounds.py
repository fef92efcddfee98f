"""The monitor knows the memory that JSON needs before it parses, and has enough for the worst that it lets through."""

from __future__ import annotations

import json
import re
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cadasta.workertoolbox.monitor import bounds
from cadasta.workertoolbox.monitor.bounds import (
    KEPT,
    MAX_BODY,
    MAX_DEPTH,
    MAX_HEADERS,
    MAX_HEADERS_MEMORY,
    MAX_MEMORY,
    bounded,
)
from cadasta.workertoolbox.monitor.message import from_envelope
from rig.monitor.databases import TaskDatabase
from rig.monitor.programs import Toolbox
from rig.servers.broker import Broker
from rig.servers.process import Process, Processes, wait_until

from .test_streams import make_app, publish

# Quotes, backslashes and brackets: what a scan could take for something else. Then one for each width of a text.
texts = st.text(st.sampled_from('"\\[]{},:u\0\néΩ中😀'), max_size=6)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=12,
)


def depth(value: Any) -> int:
    if not isinstance(value, list | dict):
        return 0
    return 1 + max(map(depth, value.values() if isinstance(value, dict) else value), default=0)


def size(value: Any) -> int:
    """The bytes of a value and of all that is in it, as far as it is not shared with others."""
    if isinstance(value, dict):
        return sys.getsizeof(value) + sum(map(size, (*value, *value.values())))
    if isinstance(value, list):
        return sys.getsizeof(value) + sum(map(size, value))
    return sys.getsizeof(value)


@given(value=values, is_ascii=st.booleans(), indent=st.sampled_from([None, 1]))
@settings(max_examples=200, deadline=None)
@example(value=['\\', '[', '\\"', '['], is_ascii=True, indent=None)
@example(value=[['\\\\"'], {'"': '\\'}], is_ascii=True, indent=None)
def test_what_a_scan_says_of_json(value: Any, is_ascii: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=is_ascii, indent=indent)
    data = text.encode()
    read = json.loads(data)
    assert bounded(data) == text
    with pytest.MonkeyPatch.context() as monkeypatch:
        # Pieces of JSON do not change what it says.
        monkeypatch.setattr(bounds, '_CHUNK', 3)
        assert bounds._depth(data) == depth(read)
        needed = bounds._memory(data, text)
    assert bounds._memory(data, text) == needed


@given(value=values)
@settings(max_examples=100, deadline=None)
@example(value=[])
@example(value=[{}])
@example(value={'': 0})
@example(value=['a' * 9, 'é' * 9, '中' * 9, '😀' * 9])
@example(value={str(number): 300 for number in range(6)})
def test_values_need_no_more_than_a_scan_says(value: Any) -> None:
    """A thousand of them, so that it does not matter what Python needs for a single one."""
    data = json.dumps([value] * 1000).encode()
    assert size(json.loads(data)) <= bounds._memory(data, data.decode()) * 1.25


@pytest.mark.parametrize(
    'data',
    [
        b'[' + b'[],' * (MAX_MEMORY // 128) + b'[]]',
        b'[' + b'{"":0},' * (MAX_MEMORY // 256) + b'[]]',
        b'[' + b'7,' * (MAX_MEMORY // 64) + b'7]',
        b'{"\\ud83d\\ude00": "' + b'x' * (MAX_MEMORY // 4) + b'"}',
        b'["' + '😀'.encode() + b'x' * (MAX_MEMORY // 4) + b'"]',
        b'["\\u4e2d' + b'x' * (MAX_MEMORY // 2) + b'"]',
    ],
)
def test_what_needs_too_much_memory(data: bytes) -> None:
    with pytest.raises(ValueError, match=r'its values need .* MiB of memory, and may need 24'):
        bounded(data)
    # The same characters are one text.
    assert bounded(json.dumps(data[: MAX_BODY // 4].decode()).encode())


@pytest.mark.parametrize(('data', 'memory'), [(b'[7, 8]', 4 * 6 + 64 * 2), (b'{"a": 7}', 4 * 8 + 64 * 4)])
def test_what_a_glance_says_of_json(data: bytes, memory: int) -> None:
    assert bounds.at_most(data) == memory


@pytest.mark.parametrize(
    ('text', 'width', 'shorter'),
    [('', 1, 0), ('é', 1, 0), ('中', 2, 0), ('😀', 4, 0), (r'\u4e2d', 2, 5), (r'\ud83d\ude00', 4, 10)],
)
def test_what_a_text_needs(text: str, width: int, shorter: int) -> None:
    """Its widest character decides, and an escape is one character."""
    whole = f'["{text}{"x" * 1000}"]'
    assert bounds._memory(whole.encode(), whole) == width * (len(whole) - shorter) + 64


def test_headers_that_need_too_much() -> None:
    lists = b'[],' * (MAX_HEADERS_MEMORY // 128)
    for envelope, problem in [
        (b'{"properties": {}, "headers": {"a": [%b[]]}}' % lists, 'its values need 4.0 MiB of memory, and may need 4'),
        (b'{"properties": {}, "body": [%b[]]}' % lists, 'its values need 4.0 MiB of memory'),
        (b'{"properties": {}, "headers": {"a": "%b"}}' % (MAX_HEADERS * b'x'), 'its headers and properties have 209'),
        (b'{"properties": {}, "body": ["%b"]}' % (MAX_HEADERS * b'x'), 'its headers and properties have 209'),
    ]:
        item = from_envelope(1, envelope)
        assert item.problem is not None
        assert problem in item.problem
        assert item.body == envelope
    text = (2 * lists).decode()
    assert from_envelope(1, json.dumps({'properties': {}, 'body': text})).body.decode() == text


def test_too_deep() -> None:
    assert bounded(b'[' * MAX_DEPTH)
    assert bounded(b'[[], ' + b'[' * (MAX_DEPTH - 1))
    for data in (b'[' * (MAX_DEPTH + 1), b'{"a":' * (MAX_DEPTH + 1), b'["[", ' * MAX_DEPTH + b'[[]'):
        with pytest.raises(ValueError, match='levels deep'):
            bounded(data)


def test_the_beginning_of_an_envelope_that_is_too_long_is_kept() -> None:
    item = from_envelope(1, b'x' * 2 * bounds.MAX_ENVELOPE)
    assert item.body == b'x' * KEPT
    assert item.problem is not None
    assert f'has {2 * bounds.MAX_ENVELOPE} bytes' in item.problem


NAMED = {'task': 'export.project', 'id': 'id'}
#: The memory that the manual gives to a monitor, in MiB.
LIMIT = 256


def filled(begin: bytes, unit: bytes, end: bytes, length: int = MAX_BODY) -> bytes:
    return begin + unit * ((length - len(begin) - len(end)) // len(unit)) + end


def worst() -> list[tuple[bytes, str, dict[str, Any], bool]]:
    """Bodies, their types and headers, and whether they are tasks."""
    kind, gzip = 'application/json', {**NAMED, 'compression': 'application/x-gzip'}
    return [
        # Without NUL, whose replacement makes a text twice as wide, other bodies of this size need less.
        (filled(b'[["\\u0000', b'x', b'"], {}, {}]'), kind, {**NAMED, 'id': 'NUL'}, True),
        (filled(b'[[', b'[],', b'[]], {}, {}]', 3 * (MAX_MEMORY // 131 - 100)), kind, {**NAMED, 'id': 'lists'}, True),
        (zlib.compress(filled(b'[[', b'[],', b'[]], {}, {}]')), kind, gzip, False),
        (b'\xff' * MAX_BODY, 'application/x-python-serialize', NAMED, False),
        (b'\xff' * 4 * MAX_BODY, 'application/x-python-serialize', NAMED, False),
        *((b'[[], {}, {}]', kind, {**NAMED, 'id': str(number), 'x': 20_000 * [[]]}, True) for number in range(8)),
    ]


def peak(process: Process) -> int:
    """The most memory that a process has ever had, in MiB."""
    status = Path(f'/proc/{process.popen.pid}/status').read_text()
    found = re.search(r'^VmHWM:\s+(\d+) kB$', status, re.MULTILINE)
    assert found is not None
    return int(found[1]) // 1024


@pytest.mark.skipif(sys.platform != 'linux', reason='asks Linux how much memory a process has had')
@pytest.mark.parametrize('broker', ['redis', 'amqp'], indirect=True)
def test_a_monitor_has_enough_memory(
    broker: Broker, postgresql: TaskDatabase, tmp_path: Path, processes: Processes
) -> None:
    app = make_app(broker)
    messages = worst()
    with broker.connect() as connection:
        for body, content_type, headers, _ in messages:
            publish(connection, app, body, content_type, headers)
    process = Toolbox(tmp_path, processes, broker, postgresql.url).start('monitor')
    tasks = sum(is_task for *_, is_task in messages)
    wait_until(
        lambda: postgresql.count() + postgresql.count('celery_task_rejected') == len(messages),
        'all to be stored',
    )
    assert postgresql.count() == tasks
    wait_until(lambda: not broker.count('platform.fifo'), 'all to be acknowledged')
    found = peak(process)
    print(f'{broker.name}: {found} MiB')
    assert found < LIMIT
    (kept,) = postgresql.execute(
        "SELECT octet_length(message) AS size FROM celery_task_rejected WHERE reason LIKE '%are kept'"
    )
    assert kept['size'] == KEPT
