"""Let one failure stand for all that an app breaks because no `Config` configures it."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from ..rehearsal.observing import Observations
from .rule import Rule, Verdict, Violation


def told_once(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """Make rules that tell once that an app has no `Config`.

    The exchange and the queues, which the first two rules judge, are the work of `Config`. Where they are wrong in an
    app without a `Config`, nearly everything that the other rules judge is wrong for the same reason.

    :param rules: the rules.
    :returns: the rules. The first of them fails such an app, and the others are skipped.
    """
    first, *others = rules
    cause = _cause_in(rules[:2])

    def judge(seen: Observations) -> Iterator[Verdict]:
        violation = cause(seen)
        yield from [Verdict({}, violation)] if violation else first.judge(seen)

    return replace(first, judge=judge), *(_skipped_where(cause, rule) for rule in others)


def _skipped_where(cause: Callable[[Observations], Violation | None], rule: Rule) -> Rule:
    def reason_to_skip(seen: Observations) -> str:
        return 'The app is not configured by a Config: rule 1 says so.' if cause(seen) else rule.reason_to_skip(seen)

    return replace(rule, reason_to_skip=reason_to_skip)


def _cause_in(rules: tuple[Rule, ...]) -> Callable[[Observations], Violation | None]:
    def cause(seen: Observations) -> Violation | None:
        if seen.code.has_config:
            return None
        found = [verdict.violation for rule in rules for verdict in rule.judge(seen)]
        seen_texts = [f'{violation.where}: {violation.seen_text}' for violation in found if violation]
        if not seen_texts:
            return None
        return Violation(
            'the app is configured by a Config',
            'the configuration of the app',
            f'no Config, and {"; ".join(seen_texts)}',
            'Configure the app: app.config_from_object(Config(QUEUES=[...])), with Config from cadasta.workertoolbox. '
            'The other rules are judged then.',
        )

    return cause
