"""A type checker reads these uses of a `Config`. A line with a finding ends in its code."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, assert_type

from kombu import Queue

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.topology import Topology


class ExportConfig(Config):
    QUEUES = ('export', 'msg')
    QUEUE_PREFIX = 'prod'
    task_time_limit = 600
    REGION = 'eu-west-1'


def route(name: str, *args: Any, **kwargs: Any) -> None: ...


class Routed(Config):
    QUEUES = ['export']  # noqa: RUF012  # as users write it
    task_routes = staticmethod(route)
    broker_transport_options = {'region': 'eu-west-1'}  # noqa: RUF012  # as users write it


class Misspelt(Config):
    QUEUES = 'export'  # expect: assignment
    task_time_limit = 'soon'  # expect: assignment


config = Config(QUEUES=['export'], task_time_limit=60, QUEUE_PREFIX='prod')
Config()
Config(['export', 'msg'])
Config(('export', 'msg'), PLATFORM_QUEUE_NAME='all.fifo', RESULT_DB_PORT=6432)
Config(broker_url=['amqp://one', 'amqp://two'], result_expires=timedelta(days=1), timezone='Europe/Berlin')
Config(task_queues=[Queue('celery')], task_routes={'export.*': {'queue': 'export'}}, accept_content=['json', 'yaml'])
Config(result_backend=None, task_default_priority=5, broker_transport_options={'region': 'eu-west-1'})
Config('export')  # expect: arg-type
Config(QUEUES='export', task_time_limt=60)  # expect: arg-type, call-arg
Config(task_time_limit='soon')  # expect: arg-type
Config(task_acks_late='yes')  # expect: arg-type
Config(accept_content='json')  # expect: arg-type
Config(broker_transport_options=['region'])  # expect: arg-type
Config(REGION='eu-west-1')  # expect: call-arg

variables: dict[str, Any] = {'REGION': 'eu-west-1'}
Config(**variables)
Config(['export'], task_time_limit=60, **variables)
ExportConfig(task_time_limit=60)
ExportConfig(['export'], task_time_limt=60)  # expect: call-arg

assert_type(config.task_time_limit, float | None)
assert_type(config.task_track_started, bool | None)
assert_type(config.CHORD_UNLOCK_MAX_RETRIES, int)
assert_type(config.RESULT_DB_PASS, str)
assert_type(config.QUEUES, list[str] | tuple[str, ...])
assert_type(config.broker_transport_options['region'], Any)
assert_type(config.topology, Topology)
assert_type(config.to_dict(), dict[str, Any])
assert_type(config['task_time_limit'], Any)
assert_type(ExportConfig().REGION, str)
assert_type(dict(config), dict[str, Any])
assert_type({**config}, dict[str, Any])
config.QEUES  # expect: attr-defined  # noqa: B018  # mypy judges it
config.task_time_limt  # expect: attr-defined  # noqa: B018  # mypy judges it
config.x = 1  # expect: attr-defined
config['x'] = 1  # expect: index
del config['x']  # expect: attr-defined
