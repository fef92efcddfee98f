"""The rules of the architecture."""

from . import (
    chords,
    effective_settings,
    own_queues,
    platform_copies,
    queue_prefixes,
    readable_messages,
    stored_results,
    topic_exchange,
    tracked_tasks,
    worker_queues,
)
from .rule import Rule
from .unconfigured import told_once

_RULES = (
    Rule(1, 'the platform gets a copy of every message', platform_copies.judge),
    Rule(2, 'all queues are bound to a topic exchange', topic_exchange.judge),
    Rule(3, 'each queue gets its messages and no other queue does', own_queues.judge),
    Rule(4, 'each task is tracked', tracked_tasks.judge, note=tracked_tasks.note),
    Rule(5, 'chords are published and give up', chords.judge),
    Rule(6, 'results and starts are stored in a database', stored_results.judge, note=stored_results.note),
    Rule(7, 'tasks are sent in a form that the platform can read', readable_messages.judge),
    Rule(8, 'queues on sqs have a prefix', queue_prefixes.judge, queue_prefixes.reason_to_skip),
    Rule(
        9,
        'a worker leaves the platform queue alone',
        worker_queues.judge,
        worker_queues.reason_to_skip,
        worker_queues.note,
    ),
    Rule(10, 'delays and settings take effect', effective_settings.judge, note=effective_settings.note),
)

RULES = told_once(_RULES)
