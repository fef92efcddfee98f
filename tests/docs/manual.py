"""The manual as Sphinx reads it: the code blocks of each page, with their captions and texts."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from docutils import nodes

ROOT = Path(__file__).parents[2]
DOCS = ROOT / 'docs'
#: The blocks whose text the tests of a module have asked for.
USED: set[Block] = set()
#: Escape sequences that make text bold or coloured on a terminal.
STYLE = re.compile(r'\x1b\[[0-9;]*m')


@dataclass(frozen=True)
class Block:
    """A code block.

    :param page: the page that shows it, such as `howto/aws`
    :param language: the language that it is written in
    :param caption: the file that it belongs into, or nothing
    :param classes: notes for the tests
    :param content: the text that it shows
    """

    page: str
    language: str
    caption: str
    classes: tuple[str, ...]
    content: str

    @property
    def text(self) -> str:
        """The text that it shows, for a test that runs it."""
        USED.add(self)
        return self.content

    @property
    def must_be_run(self) -> bool:
        """Whether a test of the page has to run it. `test_blocks.py` reads all other blocks."""
        if self.language == 'python':
            return bool(self.caption)
        if self.language == 'sh':
            return self.caption != 'environment'
        return self.language in ('console', 'postgresql', 'sql')

    @property
    def commands(self) -> list[tuple[str, list[str]]]:
        """The commands of a `console` block, each with the output that is shown."""
        commands: list[tuple[str, list[str]]] = []
        for line in self.text.splitlines():
            if line.startswith('$ '):
                commands.append((line[2:], []))
            elif commands and commands[-1][0].endswith('\\'):
                commands[-1] = (commands[-1][0][:-1] + line.strip(), [])
            else:
                commands[-1][1].append(line)
        return commands


class Manual:
    """Builds the manual, without writing pages, and fails at any warning.

    :param directory: gets what Sphinx keeps; what it has been given before is not built again
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        if (directory / 'built').exists():
            return
        built = subprocess.run(
            [
                *(sys.executable, '-m', 'sphinx'),
                *('-n', '-q', '-W', '--keep-going', '-b', 'dummy', '-d', directory, DOCS, directory / 'out'),
            ],
            capture_output=True,
            text=True,
        )
        assert (built.returncode, built.stderr) == (0, '')
        (directory / 'built').touch()

    @property
    def pages(self) -> list[str]:
        return sorted(
            str(path.relative_to(self.directory).with_suffix('')) for path in self.directory.rglob('*.doctree')
        )

    def read(self, page: str) -> nodes.document:
        document: nodes.document = pickle.loads((self.directory / f'{page}.doctree').read_bytes())
        return document

    def blocks(self, page: str, language: str | None = None) -> list[Block]:
        """The code blocks of a page's own file, without those of the files that it includes."""
        return [block for block in self._blocks(page) if language in (None, block.language)]

    def file(self, page: str, caption: str) -> str:
        """The text of the block that is shown as the file `caption`."""
        (text,) = (block.text for block in self.blocks(page) if block.caption == caption)
        return text

    def _blocks(self, page: str) -> Iterator[Block]:
        for node in self.read(page).findall(nodes.literal_block):
            if node.source is None or Path(node.source.partition(':')[0]) != DOCS / f'{page}.rst':
                continue
            caption, classes = '', node['classes']
            if 'literal-block-wrapper' in node.parent.get('classes', ()):
                caption = node.parent.next_node(nodes.caption).astext()
                classes = [*classes, *node.parent['classes']]
            yield Block(page, node.get('language', ''), caption, tuple(classes), node.astext())


def shows(expected: list[str], output: str) -> bool:
    """Tells whether the output has the lines, in this order; `...` in a line stands for anything.

    Colours, and how much space there is between words, do not matter.
    """
    lines = (' '.join(line.split()) for line in STYLE.sub('', output).splitlines())
    patterns = [re.compile('.*'.join(map(re.escape, ' '.join(line.split()).split('...')))) for line in expected]
    return all(any(pattern.fullmatch(line) for line in lines) for pattern in patterns)
