"""A type checker reads these uses of the names that the package exports."""

from __future__ import annotations

from typing import assert_type

from celery import Celery

import cadasta.workertoolbox
from cadasta.workertoolbox import (
    Config,
    NotAllSent,
    SettingError,
    ToolboxError,
    TrackedTask,
    TrackedTasks,
    batch,
    overall,
    tree,
)

assert_type(cadasta.workertoolbox.__version__, str)
assert_type(cadasta.workertoolbox.DEFAULT_QUEUES, tuple[str, ...])
assert_type(Config().QUEUES, list[str] | tuple[str, ...])
cadasta.workertoolbox.Config(task_time_limt=60)  # expect: call-arg
cadasta.workertoolbox.TrackdTasks  # expect: attr-defined  # noqa: B018  # mypy judges it
cadasta.workertoolbox.setup_app(Celery('export'), thrw=True)  # expect: call-arg

with batch(Celery('export')) as nothing:
    assert_type(nothing, None)
batch(Celery('export'), size=3)  # expect: call-arg
assert_type(NotAllSent('1 of 2', ['e1']).task_ids, tuple[str, ...])

with TrackedTasks('sqlite:///tasks.db') as tasks:
    task = tasks.get('1')
    assert_type(task, TrackedTask | None)
    found = tasks.workflow('1')
    assert_type(overall(found), str)
    assert_type(tree(found)[0].task, TrackedTask)

error: ToolboxError = SettingError('wrong')
value_error: ValueError = SettingError('wrong')
