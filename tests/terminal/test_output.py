"""The standard output, whatever it is."""

from __future__ import annotations

from contextlib import redirect_stdout
from io import BytesIO, TextIOWrapper

import pytest

from cadasta.workertoolbox.terminal.output import make_console


def test_a_character_that_the_output_lacks_is_spelled_out() -> None:
    with TextIOWrapper(BytesIO(), 'ascii') as output:
        with redirect_stdout(output):
            make_console().print('Größe')
        output.seek(0)
        assert output.read() == 'Gr\\xf6\\xdfe\n'


def test_a_number_has_no_colour_of_its_own(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in {'FORCE_COLOR': '1', 'TERM': 'xterm', 'COLUMNS': '80'}.items():
        monkeypatch.setenv(name, value)
    make_console().print("7 of 'a' is True")
    assert capsys.readouterr().out == "7 of 'a' is True\n"
