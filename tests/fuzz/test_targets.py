"""The targets for the page and for results, with their seeds and a few inputs of Hypothesis."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from . import page, results


@pytest.fixture(scope='module')
def check_page() -> Iterator[Callable[[bytes], None]]:
    with page.target() as run:
        yield run


@pytest.fixture(scope='module')
def check_result() -> Iterator[Callable[[bytes], None]]:
    with results.target() as run:
        yield run


@settings(max_examples=20, deadline=None)
@given(data=st.binary(max_size=64) | st.sampled_from(list(page.seeds())))
def test_page(check_page: Callable[[bytes], None], data: bytes) -> None:
    check_page(data)


def test_page_with_its_seeds(check_page: Callable[[bytes], None]) -> None:
    for seed in page.seeds():
        check_page(seed)


@settings(max_examples=20, deadline=None)
@given(data=st.binary(max_size=64))
def test_results(check_result: Callable[[bytes], None], data: bytes) -> None:
    check_result(data)


def test_results_with_their_seeds(check_result: Callable[[bytes], None]) -> None:
    for seed in results.seeds():
        check_result(seed)
