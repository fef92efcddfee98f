"""Judge an app by the rules of the architecture, with one finding for each rule."""

from collections.abc import Collection, Iterator
from contextlib import closing

from celery import Celery

from ..conformance.rule import Rule
from ..conformance.rules import RULES
from ..rehearsal.loading import load
from ..rehearsal.observing import Observations, observe
from .finding import Finding, Outcome, Problem, shown

_CONCERN = 'conformance'
_LOADED = 'the app can be loaded'


def check_rules(
    app: Celery,
    is_worker: bool,
    platform_queue: str,
    called_with_queue: Collection[str] = (),
) -> Iterator[Finding]:
    """Judge an app by each rule.

    :param app: the app. The check imports its task modules.
    :param is_worker: whether workers are started from its codebase.
    :param platform_queue: the name of the platform queue.
    :param called_with_queue: patterns of the names of tasks whose every call names a queue.
    :returns: a finding for each rule, after one for the app itself.
    """
    try:
        load(app)
        # The check may run in production, where a receiver could change what it must not.
        seen = observe(app, is_worker, platform_queue, called_with_queue, calls_receivers=False)
    except Exception as error:
        yield Finding(_CONCERN, _LOADED, _surprised(error))
        for rule in RULES:
            yield Finding(_CONCERN, _title(rule), Outcome(skipped='the app cannot be loaded'))
        return
    with closing(seen.bindings):
        yield Finding(_CONCERN, _LOADED, Outcome(note=repr(app.main)))
        for rule in RULES:
            yield Finding(_CONCERN, _title(rule), _judged(rule, seen))


def _judged(rule: Rule, seen: Observations) -> Outcome:
    if reason := rule.reason_to_skip(seen):
        return Outcome(skipped=reason)
    try:
        violations = [verdict.violation for verdict in rule.judge(seen)]
        problems = tuple(Problem(found.where, found.seen_text, found.change) for found in violations if found)
        note = rule.note(seen)
        return Outcome(problems, note=note, is_noteworthy=bool(note))
    except Exception as error:
        return _surprised(error)


def _surprised(error: Exception) -> Outcome:
    return Outcome((Problem('the app', shown(error), 'Mend what the error names.'),))


def _title(rule: Rule) -> str:
    return f'rule {rule.number}: {rule.title}'
