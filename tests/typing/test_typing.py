"""Type checkers find what is misspelt, and nothing else; the types of settings are those of Celery's table."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import celery
import pytest

from cadasta.workertoolbox.settings.variables import VARIABLES

from . import generate

ROOT = Path(__file__).parents[2]
FILES = ('config.py', 'surface.py')

Findings = dict[tuple[str, int], set[str]]


def expected() -> Findings:
    return {
        (name, number): set(re.split(r',\s*', match[1]))
        for name in FILES
        for number, line in enumerate((Path(__file__).parent / name).read_text().splitlines(), 1)
        if (match := re.search(r'# expect: ([a-z-]+(?:, [a-z-]+)*)', line))
    }


def found() -> Findings:
    """Gives the findings of mypy, as the project configures it: strictly."""
    paths = [f'tests/typing/{name}' for name in FILES]
    run = subprocess.run(
        [sys.executable, '-m', 'mypy', '--no-error-summary', '--hide-error-context', *paths],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1, run.stdout + run.stderr
    findings: Findings = defaultdict(set)
    # Older releases of the libraries have fewer types, which mypy finds in the package itself.
    for line in (line for line in run.stdout.splitlines() if line.startswith('tests/typing/')):
        if match := re.fullmatch(r'tests/typing/(\w+\.py):(\d+): error: .*  \[([a-z-]+)\]', line):
            findings[match[1], int(match[2])].add(match[3])
        else:
            assert ': note: ' in line, line
    return findings


@pytest.mark.process
def test_findings_of_a_type_checker() -> None:
    assert found() == expected()


def test_every_variable_has_a_type() -> None:
    assert {'QUEUES', *generate.OURS} == {'override_backends', *VARIABLES}


def options(text: str) -> set[str]:
    return set(re.findall(r'^    \w+: .*', text, re.MULTILINE))


def test_types_of_settings_are_those_of_celerys_table() -> None:
    made, kept = generate.module(), generate.PATH.read_text()
    if f'Celery {celery.__version__},' not in kept and options(made) != options(kept):
        names = sorted(options(made) ^ options(kept))
        pytest.skip(f'The table of Celery {celery.__version__} differs from the one in {generate.PATH.name}: {names}')
    assert options(made) == options(kept)
    assert made.partition('"""\n')[2] == kept.partition('"""\n')[2]
