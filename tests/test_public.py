"""The names that the package exports are documented, with an example, and hide no module."""

from __future__ import annotations

import doctest
import importlib
import re
import types
from pathlib import Path

import pytest

import cadasta.workertoolbox

API = Path(__file__).parents[1] / 'docs' / 'reference' / 'api.rst'
NAMES = cadasta.workertoolbox.__all__
CODE = [name for name in NAMES if callable(getattr(cadasta.workertoolbox, name))]


def test_exported_names_are_those_that_the_reference_has() -> None:
    documented = re.findall(r'^\.\. (?:auto|py:)(?!module)\w+:: cadasta\.workertoolbox\.(\w+)$', API.read_text(), re.M)
    assert sorted(documented) == sorted(NAMES)
    assert len(set(NAMES)) == len(NAMES)


def test_names_without_examples_are_constants() -> None:
    assert set(NAMES) - set(CODE) == {'DEFAULT_QUEUES', 'SETUP_FUNCS', 'STATES'}


@pytest.mark.parametrize('name', CODE)
def test_every_name_has_a_docstring_with_an_example(name: str) -> None:
    # The tests of the documents run it, with those of all modules.
    assert doctest.DocTestParser().get_examples(getattr(cadasta.workertoolbox, name).__doc__)


def test_dir_has_every_name() -> None:
    assert {*NAMES, '__version__'} <= set(dir(cadasta.workertoolbox))


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"module 'cadasta\.workertoolbox' has no attribute 'Confg'"):
        _ = cadasta.workertoolbox.Confg
    with pytest.raises(ImportError, match='cannot import name'):
        from cadasta.workertoolbox import Confg  # noqa: F401  # it is not there


@pytest.mark.parametrize('module', ['conf', 'setup', 'tests', 'utils', 'topology', 'signals', 'results', 'errors'])
def test_modules_stay_modules(module: str) -> None:
    for name in NAMES:
        getattr(cadasta.workertoolbox, name)
    importlib.import_module(f'cadasta.workertoolbox.{module}')
    assert isinstance(getattr(cadasta.workertoolbox, module), types.ModuleType)
