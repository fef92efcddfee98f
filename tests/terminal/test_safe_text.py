"""Text that a terminal shows as it is."""

from __future__ import annotations

from cadasta.workertoolbox.terminal.safe_text import call
from cadasta.workertoolbox.tracked import TrackedTask


def test_letters_of_any_language_are_shown() -> None:
    assert call(TrackedTask('1', 'SUCCESS', args=['Größe'], kwargs={'to': '東京'})) == '("Größe", to="東京")'


def test_the_text_of_arguments_without_that_of_keywords() -> None:
    assert call(TrackedTask('1', 'PENDING', args="('x',)")) == "('x',)"
