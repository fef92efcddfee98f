"""Judge the runs of each task: one at a time, none after the task has ended, and each further one for a reason.

Nothing that a broker does is a reason: it may deliver a message as often as it likes. A worker that hung for longer
than its lease is overtaken, and goes on with its task until it notices. That is a limit of the package, and a reason.
What such a worker says of the task is not stored, so that it ends nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import inf
from typing import NamedTuple

from .journal import UNDER_WAY, WITHOUT_RESULT, Journal, Run


class Verdict(NamedTuple):
    """The faults in the runs of a storm, and the reasons why tasks ran again.

    :param at_once: the runs that began while another run of the task was in its process
    :param after_end: the runs that began when the success or the failure of the task had been stored
    :param without_reason: the other runs that nothing explains
    :param reasons: how many runs there are for each reason to run again
    """

    at_once: list[Run]
    after_end: list[Run]
    without_reason: list[Run]
    reasons: Counter[str]


def judge(journal: Journal) -> Verdict:
    """Judge all runs, except those of tasks that store no result."""
    verdict = Verdict([], [], [], Counter())
    for runs in journal.runs.values():
        in_order = sorted(runs, key=lambda run: run.begin)
        for number, run in enumerate(in_order):
            if number and run.key.task != WITHOUT_RESULT:
                _judge_run(journal, in_order[:number], run, verdict)
    return verdict


def _judge_run(journal: Journal, earlier: Sequence[Run], run: Run, verdict: Verdict) -> None:
    running = [other for other in earlier if _is_over(journal, other) > run.begin]
    if run.number < max(other.number for other in earlier) and journal.may_be_overtaken(run, run.begin):
        verdict.reasons['by a worker that hung'] += 1
    elif not all(journal.may_be_overtaken(other, run.begin) for other in running):
        verdict.at_once.append(run)
    elif any(_has_ended_task(other, earlier) < run.begin for other in earlier):
        verdict.after_end.append(run)
    elif reason := _reason(journal, earlier, run):
        verdict.reasons[reason] += 1
    else:
        verdict.without_reason.append(run)


def _is_over(journal: Journal, run: Run) -> float:
    return min(run.handed_on, run.end, journal.death(run))


def _has_ended_task(run: Run, others: Sequence[Run]) -> float:
    """Tell when a run ended its task. What a run says that was overtaken is not stored."""
    is_overtaken = any(other.number > run.number and other.begin < run.stored for other in others)
    return inf if is_overtaken else run.stored


def _reason(journal: Journal, earlier: Sequence[Run], run: Run) -> str | None:
    latest = max(other.attempt for other in earlier)
    if run.attempt > latest:
        return 'replacements' if run.attempt[0] > latest[0] else 'retries'
    if run.attempt < latest:
        return None
    *_, last = (other for other in earlier if other.attempt == latest)
    # The process may be killed before the message of its run is acknowledged.
    if journal.death(last) < min(run.begin, last.end + UNDER_WAY):
        return 'taken over from a killed process'
    if journal.may_be_overtaken(last, run.begin):
        return 'taken over from a worker that hung'
    # A worker that is told to end does not wait for its database for ever. Then it gives the message back.
    if journal.requests_to_stop.get(last.worker, run.begin) < run.begin:
        return 'taken over from a worker that ended'
    return None
