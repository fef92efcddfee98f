"""Takes the pictures of the README from a run of the quickstart: `python docs/pictures.py`.

It needs requirements-test.txt and Chromium, and writes into docs/_static, or into the directory that it is given.
"""

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.request import urlopen

from rich.console import Console
from rich.padding import Padding
from rich.terminal_theme import TerminalTheme
from rich.text import Text

DOCS = Path(__file__).parent
#: The browser's window has room for the workflow's table.
WIDTH, HEIGHT = 1280, 704
#: The terminal has room for the last line.
COLUMNS = 84
TITLES = ('A task that fails', 'A task that hands its followups on')
#: With these, the quickstart would open a browser or show no colours.
UNWANTED = ('DISPLAY', 'WAYLAND_DISPLAY', 'NO_COLOR')
#: Where the quickstart says that all of it runs.
URL = re.compile(r'Look at it: (http://\S+/)')
#: A task that nothing has sent: no branch leads to its name.
ROOT = re.compile(r'([0-9a-f-]{36})  \w')
THEME = TerminalTheme(
    background=(22, 27, 34),
    foreground=(230, 237, 243),
    # Black, red, green, yellow, blue, magenta, cyan, white.
    normal=[
        (72, 79, 88),
        (255, 123, 114),
        (63, 185, 80),
        (210, 153, 34),
        (88, 166, 255),
        (188, 140, 255),
        (57, 197, 207),
        (177, 186, 196),
    ],
)
#: As rich has it, but with the fonts of whoever looks at it instead of one from another server.
SVG = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
    font: {char_height}px/{line_height}px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
}}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def main(directory: Path = DOCS / '_static') -> None:
    """Write both pictures into a directory."""
    browser = shutil.which('chromium')
    if browser is None:
        sys.exit('Chromium is missing. On Debian and Ubuntu: apt-get install chromium')
    with quickstart() as output:
        (directory / 'tree.svg').write_text(drawing(output))
        photograph(browser, page(output), directory / 'page.png')


@contextmanager
def quickstart() -> Iterator[str]:
    """Run the quickstart on a terminal, and keep it running.

    :returns: all that it has shown
    """
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [DOCS.parent / 'quickstart', '--keep'],
        stdout=terminal,
        stderr=terminal,
        env={
            **{name: value for name, value in os.environ.items() if name not in UNWANTED},
            'TERM': 'xterm-256color',
            'COLUMNS': str(COLUMNS),
        },
        start_new_session=True,
    )
    os.close(terminal)
    try:
        yield shown(controller)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
        os.close(controller)


def shown(controller: int) -> str:
    """Read what the quickstart shows until all of it runs."""
    output = b''
    # Linux answers with an error when there is no more.
    with suppress(OSError):
        while chunk := os.read(controller, 10_000):
            output += chunk
            text = output.decode(errors='ignore').replace('\r\n', '\n')
            if URL.search(text):
                return text
    sys.exit(f'The quickstart failed:\n{output.decode(errors="replace")}')


def drawing(output: str) -> str:
    """Draw the end of what the quickstart has shown: the last two trees and the verdict, as SVG."""
    trees = output.partition('The workflows, as')[2]
    parts = [part for part in trees.split('\n\n') if Text.from_ansi(part).plain.startswith(TITLES) or 'OK: ' in part]
    with open(os.devnull, 'w') as nowhere:
        console = Console(record=True, width=COLUMNS + 2, file=nowhere, force_terminal=True)
        text = Text.assemble(('$ ', 'dim'), './quickstart\n', ('…\n\n', 'dim'), Text.from_ansi('\n\n'.join(parts)))
        console.print(Padding(text, (0, 1)))
        return console.export_svg(title='', theme=THEME, code_format=SVG, unique_id='tree')


def page(output: str) -> str:
    """Find the page of the workflow that is drawn last, and make sure that it is there."""
    url = f'{URL.findall(output)[0]}tasks/{ROOT.findall(output)[-1]}'
    urlopen(url).close()
    return url


def photograph(browser: str, url: str, picture: Path) -> None:
    """Write what a browser shows as PNG."""
    with TemporaryDirectory(prefix='chromium-', ignore_cleanup_errors=True) as profile:
        subprocess.run(
            [
                browser,
                '--headless=new',
                # In a container, root has no sandbox and shared memory is small.
                '--no-sandbox',
                '--disable-dev-shm-usage',
                '--disable-gpu',
                '--hide-scrollbars',
                '--disable-background-networking',
                f'--user-data-dir={profile}',
                f'--window-size={WIDTH},{HEIGHT}',
                f'--screenshot={picture}',
                url,
            ],
            check=True,
            capture_output=True,
        )


if __name__ == '__main__':
    main(*map(Path, sys.argv[1:]))
