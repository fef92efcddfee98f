"""The monitor makes a row of a message's parts, or refuses the message."""

from __future__ import annotations

import base64
import bz2
import json
import lzma
import pickle
import zlib
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from cadasta.workertoolbox.errors import Unreadable
from cadasta.workertoolbox.monitor.bounds import MAX_BODY, MAX_DEPTH
from cadasta.workertoolbox.monitor.decode import decode
from cadasta.workertoolbox.monitor.message import Message, from_envelope, from_payload, whole

from .messages import first_protocol, message


class Bomb:
    def __reduce__(self) -> Any:
        return exec, ('raise SystemExit("unpickled")',)


def columns(item: Message, **options: Any) -> dict[str, Any]:
    row = decode(item, **options)
    values = {name: value for name, value in row.values.items() if name != 'body'}
    # `test_store.py` reads the body back from the database.
    stored = {name: value for name, value in json.loads(row.text).items() if name != 'body'}
    assert stored == json.loads(json.dumps(values, default=lambda value: value.isoformat()))
    return row.values


def test_every_field_has_its_column() -> None:
    eta, expires = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC), datetime(2030, 1, 3, tzinfo=UTC)
    row = columns(
        message(
            '1',
            'export.project',
            7,
            'é',
            kwargs={'a': [None]},
            root_id='root',
            parent_id='parent',
            group_id='group',
            eta=eta,
            expires=expires,
            retries=3,
            time_limit=20,
            soft_time_limit=10,
            origin='gen1@host',
            shadow='nice',
        )
    )
    options = row.pop('options')
    assert row == {
        'task_id': '1',
        'name': 'export.project',
        'args': [7, 'é'],
        'kwargs': {'a': [None]},
        'root_id': 'root',
        'parent_id': 'parent',
        'group_id': 'group',
        'routing_key': 'export',
        'eta': eta,
        'expires': expires,
        'retries': 3,
        'timelimit': [20, 10],
        'origin': 'gen1@host',
        'sent': None,
        'body': b'[[7, "\\u00e9"], {"a": [null]}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]',
    }
    assert options == {
        'argsrepr': "(7, 'é')",
        'kwargsrepr': "{'a': [None]}",
        'content_encoding': 'utf-8',
        'content_type': 'application/json',
        'ignore_result': False,
        'lang': 'py',
        'replaced_task_nesting': 0,
        'reply_to': '',
        'shadow': 'nice',
        'stamps': {},
    }


def test_custom_headers_properties_and_embedded_signatures_are_options() -> None:
    options = columns(
        message(
            headers={'tenant': 'é', 'priority': 'header', 'redelivered': True},
            properties={'priority': 5, 'MessageGroupId': 'g'},
            callbacks=[{'task': 'msg.send'}],
            chord={'task': 'export.zip'},
        )
    )['options']
    assert options['tenant'] == 'é'
    assert options['MessageGroupId'] == 'g'
    assert (options['priority'], options['properties']) == ('header', {'priority': 5})
    assert options['callbacks'] == [{'task': 'msg.send'}]
    assert options['chord'] == {'task': 'export.zip'}
    assert not options.keys() & {'errbacks', 'chain', 'redelivered', 'correlation_id', 'id'}


@pytest.mark.parametrize('header', ['2030-01-02T03:04:05+00:00', '2030-01-02T05:04:05+02:00'])
@pytest.mark.parametrize('make', [message, first_protocol])
def test_when_it_was_sent(make: Any, header: str) -> None:
    row = columns(make()._replace(headers={**make().headers, 'sent': header}))
    assert row['sent'] == datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert 'sent' not in row['options']


@pytest.mark.parametrize('header', ['', 'yesterday', 7, True, ['2030-01-02'], {}, '0001-01-01T00:00:00+14:00'])
def test_a_header_of_this_name_that_is_no_time_is_an_option(header: Any) -> None:
    row = columns(message(headers={'sent': header}))
    assert row['sent'] is None
    assert row['options']['sent'] == header


def test_the_body_is_kept_as_it_was() -> None:
    body = b' [["a\\u0000b", -0.0, 1e300], {"z": 1, "a": 2}, {}]'
    assert columns(message(body=body))['body'] == body
    assert columns(message(body=body), arguments=False)['body'] is None
    packed = zlib.compress(body)
    assert columns(message(body=packed, headers={'compression': 'application/x-gzip'}))['body'] == packed


def test_another_correlation_id_is_kept() -> None:
    assert columns(message(properties={'correlation_id': 'other'}))['options']['correlation_id'] == 'other'


def test_without_arguments_the_body_stays_closed() -> None:
    row = columns(
        message('1', 'export.project', 'secret', argsrepr='(***,)', kwargsrepr='{}', body=b'\x80'), arguments=False
    )
    assert (row['args'], row['kwargs']) == ('(***,)', '{}')


def test_first_protocol() -> None:
    row = columns(
        first_protocol(
            '1', 'export.project', 7, kwargs={'a': 1}, retries=2, group_id='g', chord={'task': 'c'}, time_limit=9
        )
    )
    assert (row['task_id'], row['name'], row['args'], row['kwargs']) == ('1', 'export.project', [7], {'a': 1})
    assert (row['retries'], row['group_id'], row['timelimit'], row['root_id']) == (2, 'g', [9, None], None)
    assert row['options'] == {
        'chord': {'task': 'c'},
        'content_encoding': 'utf-8',
        'content_type': 'application/json',
        'reply_to': '',
    }


@pytest.mark.parametrize('name', ['group', 'taskset'])
def test_the_group_of_the_first_protocol(name: str) -> None:
    body = json.dumps({'task': 'a.b', 'id': '1', name: 'g'}).encode()
    assert columns(Message(1, body, {}, {'content_type': 'application/json'}))['group_id'] == 'g'


def test_first_protocol_without_arguments() -> None:
    row = columns(first_protocol('1', 'export.project', 7, callbacks=[{'args': ['secret']}]), arguments=False)
    assert (row['args'], row['kwargs']) == (None, None)
    assert 'secret' not in str(row)


@pytest.mark.parametrize(
    ('given', 'stored'),
    [
        ('2030-01-02T03:04:05', datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ('2030-01-02T03:04:05+02:00', datetime(2030, 1, 2, 1, 4, 5, tzinfo=UTC)),
        ('2030-01-02T03:04:05Z', datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)),
    ],
)
@pytest.mark.usefixtures('new_york')
def test_times_are_utc_wherever_the_monitor_runs(given: str, stored: datetime) -> None:
    row = columns(message(headers={'eta': given, 'expires': given}))
    assert [row['eta'], row['expires']] == [stored] * 2
    assert row['eta'].tzinfo is UTC


@pytest.mark.parametrize(
    ('name', 'compress'),
    [
        ('application/x-gzip', zlib.compress),
        ('application/x-bz2', bz2.compress),
        ('application/x-lzma', lzma.compress),
    ],
)
def test_compressed_bodies_are_read(name: str, compress: Any) -> None:
    body = compress(b'[[7], {}, {}]')
    assert columns(message(headers={'compression': name}, body=body))['args'] == [7]
    with pytest.raises(Unreadable, match=f'has {MAX_BODY + 1} bytes'):
        decode(message(headers={'compression': name}, body=compress(b' ' * 2 * MAX_BODY)))
    with pytest.raises(Unreadable, match='cut off'):
        decode(message(headers={'compression': name}, body=body[:-4]))
    with pytest.raises(Unreadable, match='cannot be decompressed'):
        decode(message(headers={'compression': name}, body=b'no such data'))


def test_lzma_that_claims_much_memory() -> None:
    greedy = lzma.compress(b'[[7], {}, {}]', filters=[{'id': lzma.FILTER_LZMA2, 'dict_size': 2**30}])
    with pytest.raises(Unreadable, match='cannot be decompressed: Memory usage limit exceeded'):
        decode(message(headers={'compression': 'application/x-lzma'}, body=greedy))
    largest = lzma.compress(b'[[7], {}, {}]', preset=9)
    assert columns(message(headers={'compression': 'application/x-lzma'}, body=largest))['args'] == [7]


@pytest.mark.parametrize(
    ('body', 'args'),
    [
        (b'[["a\\u0000b"], {}, {}]', ['a\ufffdb']),
        (b'[["\\\\u0000"], {}, {}]', ['\\u0000']),
        (b'[["\\ud800", "\\ud83d\\ude00"], {}, {}]', ['\ufffd', '\U0001f600']),
        (b'[[NaN, -Infinity, 1e999, 1.5], {}, {}]', ['NaN', '-Infinity', 'inf', 1.5]),
        (b'[["[\\"[", ' + 300 * b'[], ' + b'{}], {}, {}]', ['["[', *300 * [[]], {}]),
        (b'[[{"\\u0000": [true, null]}], {}, {}]', [{'\ufffd': [True, None]}]),
    ],
)
def test_arguments_as_they_are_stored(body: bytes, args: list[Any]) -> None:
    assert columns(message(body=body))['args'] == args


def test_what_json_cannot_say_is_text() -> None:
    options = columns(
        message(
            headers={
                'when': datetime(2030, 1, 1),
                'price': Decimal('1.5'),
                'raw': b'\xff',
                b'\xfe': 1,
                'many': ({'é'},),
            }
        )
    )['options']
    assert (options['when'], options['price'], options['raw'], options['\\xfe']) == (
        '2030-01-01T00:00:00',
        '1.5',
        '\\xff',
        1,
    )


NESTED = b'[' * (MAX_DEPTH + 1) + b']' * (MAX_DEPTH + 1)


@pytest.mark.parametrize(
    ('item', 'reason'),
    [
        (
            message(properties={'content_type': 'application/x-python-serialize'}, body=pickle.dumps(Bomb())),
            'only JSON',
        ),
        (
            message(properties={'content_type': 'application/x-yaml'}, body=b'!!python/object/apply:os.abort []'),
            'only JSON',
        ),
        (message(properties={'content_type': None}), 'only JSON'),
        (message(properties={'content_encoding': 'utf-16'}), 'only UTF-8'),
        (message(properties={'content_encoding': 7}), 'only UTF-8'),
        (message(headers={'compression': 'zip'}), 'compressed by'),
        (message(headers={'compression': ['zip']}), 'compressed by'),
        (message(body=b'[['), 'not JSON'),
        (message(body=b'\xff'), 'not JSON'),
        (message(body=b'[[' + b'1' * 5000 + b'], {}, {}]'), 'not JSON'),
        (message(body=b'[[' + NESTED + b'], {}, {}]'), 'levels deep'),
        (message(body=b'[["' + b'[' * MAX_DEPTH + b'", ' + NESTED + b'], {}, {}]'), 'levels deep'),
        (message(body=b' ' * (MAX_BODY + 1)), 'at most'),
        (message(body=b'[' * 300 + b'"' + b'\\"' * 1_000_000), 'levels deep'),
        (message(body=b'"' + b'[' * 300 + b'\\'), 'not JSON'),
        (message(body=b'7'), 'not a list of'),
        (message(body=b'[1, 2]'), 'not a list of'),
        (message(body=b'[{}, {}, {}]'), 'does not hold'),
        (message(body=b'[[], [], {}]'), 'does not hold'),
        (message(body=b'[[], {}, []]'), 'does not hold'),
        (message('x' * 156), 'at most 155'),
        (message(headers={'id': 7}), 'the id is 7'),
        (message(headers={'root_id': 7}), 'the root_id is 7'),
        (message(headers={'parent_id': 7}), 'the parent_id is 7'),
        (message(headers={'group': 7}), 'the group is 7'),
        (message(headers={'id': None}), 'no id'),
        (message(headers={'task': ''}), 'no name'),
        (message(headers={'task': 7}), 'the task is 7'),
        (message(headers={'origin': 7}), 'the origin is 7'),
        (message('a\0b'), 'no id has'),
        (message(headers={'root_id': '\ud800'}), 'no id has'),
        (message(headers={'group': 'x' * 156}), 'at most 155'),
        (message(headers={'eta': 'soon'}), "eta is 'soon', not a time"),
        (message(headers={'eta': 7}), 'eta is 7, not a time'),
        (message(headers={'expires': '0001-01-01T00:00:00+23:00'}), 'expires is .*, not a time'),
        (message(headers={'retries': -1}), 'number of retries'),
        (message(headers={'retries': True}), 'number of retries'),
        (message(headers={'retries': 2**31}), 'number of retries'),
        (message(headers={'replaced_task_nesting': 'x'}), 'number of replaced_task_nesting'),
        (message(headers={'deep': json.loads(NESTED)}), 'levels deep'),
        (message()._replace(routing_key=7), 'routing key is 7'),
        (Message(1, b'[1]', {}, {'content_type': 'application/json'}), 'neither the headers nor the body'),
        (Message(1, b'{}', {}, {'content_type': 'application/json'}), 'neither the headers nor the body'),
        (Message(1, b'', {}, {}), 'only JSON'),
    ],
)
def test_refused(item: Message, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        decode(item)


def test_all_that_is_allowed() -> None:
    deepest = b'[' * (MAX_DEPTH - 2) + b']' * (MAX_DEPTH - 2)
    body = b'[[' + deepest + b', []], {}, {}]'
    row = columns(message('x' * 155, body=body + b' ' * (MAX_BODY - len(body)), headers={'retries': 2**31 - 1}))
    assert (len(row['task_id']), row['retries'], row['args']) == (155, 2**31 - 1, [json.loads(deepest), []])


def test_a_message_that_says_nothing_of_retries() -> None:
    assert columns(message(headers={'retries': None}))['retries'] == 0


def test_endlessly_nested_headers() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(Unreadable, match='recursion'):
        decode(message(headers={'deep': deep}))


@pytest.mark.parametrize(
    ('raw', 'problem'),
    [
        (b'hello', 'not base64'),
        ('é', 'not base64'),
        (b'\xff\xfe', 'not base64'),
        (b'aGVsbG8=', 'not JSON'),
        (b'{', 'not JSON'),
        (b'', 'not JSON'),
        (b'{}', 'not that of a message'),
        (b'{"properties": 7}', 'not that of'),
        (b'{"properties": {"delivery_info": 7}}', 'not that of'),
        (b'{"properties": {}, "headers": 7}', 'not that of'),
        (b'{"properties": {"body_encoding": "base64"}, "body": "a"}', 'not that of'),
        (b'{"a":' * 200_000, 'not JSON'),
        (base64.b64encode(b'[1]'), 'not that of'),
        ('\ud800', 'not base64'),
    ],
)
def test_broken_envelopes(raw: bytes | str, problem: str) -> None:
    item = from_envelope(1, raw)
    assert item.receipt == 1
    assert item.problem is not None
    assert problem in item.problem
    with pytest.raises(Unreadable, match=problem):
        decode(item)
    assert whole(item) == (raw if isinstance(raw, bytes) else raw.encode('utf-8', 'surrogatepass'))


@pytest.mark.parametrize(
    ('body', 'encoding', 'read'),
    [
        ('W10=', 'base64', b'[]'),
        ('[]', None, b'[]'),
        ([1], None, b'[1]'),
        (None, None, b''),
        ('\ud800', None, b'\xed\xa0\x80'),
    ],
)
def test_bodies_of_envelopes(body: Any, encoding: str | None, read: bytes) -> None:
    assert from_payload(1, {'body': body, 'properties': {'body_encoding': encoding}}).body == read


def test_an_envelope_is_one_that_kombu_reads() -> None:
    item = message(headers={'a': 1, 'b': 2})
    envelope = json.loads(whole(item))
    assert (envelope['content-type'], envelope['content-encoding']) == ('application/json', 'utf-8')
    assert not envelope['properties'].keys() & {'content_type', 'content_encoding'}
    assert whole(item._replace(headers=dict(reversed(item.headers.items())))) == whole(item)


def test_an_envelope_can_be_published_again() -> None:
    item = message(
        '1',
        'export.project',
        headers={'redelivered': True, b'\xff': b'\xff', 'at': datetime(2030, 1, 1), 'nested': [{b'\xff': 1, 'x': 2}]},
    )
    again = from_envelope('1', whole(item))
    assert again.body == item.body
    assert again.routing_key == 'export'
    assert again.properties == item.properties
    assert again.headers == {
        **{name: value for name, value in item.headers.items() if isinstance(name, str) and name != 'redelivered'},
        '\\xff': '\\xff',
        'at': '2030-01-01T00:00:00',
        'nested': [{'\\xff': 1, 'x': 2}],
    }
