"""The page of faults and attacks names tests that exist."""

from __future__ import annotations

import ast
import re

from .manual import ROOT

TEST = re.compile(r'     - ``(tests/[\w/]+\.py)(?:::(\w+))?``$', re.MULTILINE)
ROW = re.compile(r'^   \* - (?!Fault$|Attack$|Change$)', re.MULTILINE)
PAGE = (ROOT / 'docs/explanation/tried.rst').read_text()


def functions_of(path: str) -> set[str]:
    return {node.name for node in ast.walk(ast.parse((ROOT / path).read_text())) if isinstance(node, ast.FunctionDef)}


def test_each_row_names_a_test() -> None:
    assert len(ROW.findall(PAGE)) == len(TEST.findall(PAGE))


def test_the_tests_exist() -> None:
    named = TEST.findall(PAGE)
    assert named
    assert [(path, name) for path, name in named if name and name not in functions_of(path)] == []
    assert [path for path, name in named if not (ROOT / path).is_file()] == []
