"""Rule 3: each queue gets its messages and no other queue does."""

from collections.abc import Iterator

from ..rehearsal.observing import Observations
from .delivery import errors_of_routes, misdelivery
from .rule import Verdict, Violation


def judge(seen: Observations) -> Iterator[Verdict]:
    for errors in errors_of_routes(seen).values():
        yield Verdict({'setting': 'task_routes'}, _raised(*errors))
    verdicts = list(_messages(seen))
    violations = [verdict.violation for verdict in verdicts if verdict.violation]
    if seen.code.lacks_router and violations:
        yield Verdict({'setting': 'task_routes'}, _lacking(*violations))
    else:
        yield from verdicts


def _messages(seen: Observations) -> Iterator[Verdict]:
    for queue, messages in seen.messages.items():
        for how, message in messages.items():
            violation = misdelivery(seen, f'a message for {queue!r}, {how}', message.attempt, message.queue)
            yield Verdict({'queue': queue, 'message': how}, violation)


def _raised(first: tuple[str, Exception], *others: tuple[str, Exception]) -> Violation:
    where, error = first
    return Violation(
        'the routes of an app choose a queue, or none, for each task',
        f'setting task_routes: {where}{_more(others)}',
        error,
        'The routes raise this error whatever the arguments of a task are. Let them leave alone what they do not know: '
        'tasks of other codebases pass by them, too. If they ask a database or the like, let the tests have it.',
    )


def _lacking(first: Violation, *others: Violation) -> Violation:
    return Violation(
        first.expected,
        f'setting task_routes: {first.where}{_more(others)}',
        f'the router of Config is not among the routes, and {first.seen_text}',
        'Give your routes to Config, as in Config(task_routes=...), and do not set task_routes afterwards: that takes '
        'out the router of Config.',
    )


def _more(others: tuple[object, ...]) -> str:
    return f' and {len(others)} more' if others else ''
