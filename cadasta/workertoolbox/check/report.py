"""Write findings as text and as a document."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console
from rich.containers import Lines
from rich.text import Text

from .finding import Finding

_MARKS = {'passed': '✓', 'failed': '✗', 'skipped': '\N{EN DASH}', 'noted': '!'}
_WORDS = {'passed': 'ok', 'failed': 'FAILED', 'skipped': 'skipped', 'noted': 'note'}
_STYLES = {'passed': 'green', 'failed': 'bold red', 'skipped': 'dim', 'noted': 'yellow'}


def show(findings: Iterable[Finding], console: Console) -> bool:
    """Print each finding in a line as soon as it comes, and under it the changes that mend its problems, and its note.

    :param findings: the findings.
    :param console: the console to print on. Lines are wrapped at the width of a terminal, and nowhere else.
    :returns: whether no finding has failed.
    """
    marks = _MARKS if console.encoding.startswith('utf') else _WORDS
    counted: Counter[str] = Counter()
    for finding in findings:
        counted[finding.state] += 1
        for start, text in _lines(finding, marks[finding.state]):
            _print(console, start, text)
    console.print(
        Text(', '.join(f'{counted[state]} {state}' for state in _MARKS if state != 'noted' or counted[state]))
    )
    return not counted['failed']


def document(findings: Iterable[Finding]) -> dict[str, Any]:
    """Put findings into one document.

    :param findings: the findings.
    :returns: ``ok`` and ``findings``, fit for JSON.

    >>> from cadasta.workertoolbox.check.finding import Outcome
    >>> document([Finding('broker', 'it can be reached', Outcome())])['findings']
    [{'concern': 'broker', 'check': 'it can be reached', 'state': 'passed', 'note': '', 'skipped': '', 'problems': []}]
    """
    found = [
        {
            'concern': finding.concern,
            'check': finding.check,
            'state': finding.state,
            'note': finding.outcome.note,
            'skipped': finding.outcome.skipped,
            'problems': [problem._asdict() for problem in finding.outcome.problems],
        }
        for finding in findings
    ]
    return {'ok': all(finding['state'] != 'failed' for finding in found), 'findings': found}


def _lines(finding: Finding, mark: str) -> Iterator[tuple[Text, Text]]:
    style = _STYLES[finding.state]
    outcome = finding.outcome
    remark = '' if outcome.problems or outcome.is_noteworthy else outcome.skipped or outcome.note
    yield (
        Text.assemble((mark, style), f' {finding.concern:11}  '),
        Text.assemble(finding.check, (f' ({remark})' if remark else '', 'dim')),
    )
    # A hundred queues may have the same problem: it is printed once, with all of their names.
    places: dict[tuple[str, str], list[str]] = defaultdict(list)
    for where, seen, change in outcome.problems:
        places[seen, change].append(where)
    for (seen, change), all_of_them in places.items():
        yield _labelled('Where:', ', '.join(all_of_them), '')
        yield _labelled('Seen:', seen, '')
        yield _labelled('Change:', change, 'bold')
    if outcome.is_noteworthy:
        yield _labelled('Note:', outcome.note, '')


def _labelled(label: str, text: str, style: str) -> tuple[Text, Text]:
    return Text(f'    {label:7} ', 'dim'), Text(' '.join(text.split()), style)


def _print(console: Console, start: Text, text: Text) -> None:
    width = console.width - start.cell_len if console.is_terminal else text.cell_len or 1
    lines: Lines = text.wrap(console, max(width, 20))
    for number, line in enumerate(lines):
        console.print(Text(' ' * start.cell_len) if number else start, line, sep='', end='\n', soft_wrap=True)
