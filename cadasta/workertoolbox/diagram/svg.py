"""A diagram as an SVG that can be read in light and dark mode."""

from collections.abc import Iterable
from textwrap import wrap
from xml.etree import ElementTree

from rich.cells import cell_len

from .contents import BoundExchange, BoundQueue, Diagram, Lost

_MARGIN = 24
_LINE = 18
_GAP = 14
_BOX = 30
_CHARACTER = 8.1
_TRUNK = 28
_REASON_WIDTH = 100

_STYLE = """
.ground { fill: #ffffff; }
.exchange { fill: #dbeafe; stroke: #1d4ed8; } .queue { fill: #ffffff; stroke: #57606a; }
.platform { fill: #fef3c7; stroke: #b45309; } .lost { fill: #fee2e2; stroke: #b91c1c; }
.line { fill: none; stroke: #57606a; } .copy { fill: none; stroke: #b45309; }
.tasks { fill: none; stroke: #57606a; stroke-dasharray: 3 3; }
rect { stroke-width: 1.5; } path { stroke-width: 1; shape-rendering: crispEdges; }
text { font: 13px ui-monospace, "DejaVu Sans Mono", Consolas, monospace; fill: #1f2328; }
.name { font-weight: 600; } .note { fill: #57606a; }
@media (prefers-color-scheme: dark) {
.ground { fill: #0d1117; }
.exchange { fill: #12284c; stroke: #79a8ff; } .queue { fill: #0d1117; stroke: #9198a1; }
.platform { fill: #3a2a08; stroke: #f0b429; } .lost { fill: #3c1618; stroke: #ff7b72; }
.line { stroke: #9198a1; } .copy { stroke: #f0b429; } .tasks { stroke: #9198a1; }
text { fill: #f0f6fc; } .note { fill: #9198a1; }
}
"""


def write(diagram: Diagram) -> str:
    """Draw a diagram as an SVG, in ASCII.

    :param diagram: the diagram.
    :returns: the document.

    >>> write(Diagram((), ()))[:4]
    '<svg'
    """
    return _Drawing(diagram).text()


class _Drawing:
    """Draws from the top of the page down: each exchange with a row for each of its queues, then the lost tasks."""

    def __init__(self, diagram: Diagram) -> None:
        queues = [queue for exchange in diagram.exchanges for queue in exchange.queues]
        self._queue_x = _MARGIN + _TRUNK + _widest(', '.join(queue.keys) for queue in queues) + 2 * _GAP
        self._queue_width = _widest(line for queue in queues for line in queue.caption) + _BOX
        self._tasks_x = self._queue_x + self._queue_width + 3 * _GAP
        self._width = self._tasks_x + _widest(task for queue in queues for task in queue.tasks) + _MARGIN
        self._y = float(_MARGIN)
        self._svg = ElementTree.Element('svg', xmlns='http://www.w3.org/2000/svg', role='img')
        self._add('title', 'Exchanges, queues and tasks')
        self._add('style', _STYLE)
        self._ground = self._add('rect', **{'class': 'ground'}, rx=8)
        for exchange in diagram.exchanges:
            self._draw_exchange(exchange)
        for lost in diagram.lost:
            self._draw_lost(lost)

    def text(self) -> str:
        size = {'width': f'{self._width:g}', 'height': f'{self._y + _MARGIN - _GAP:g}'}
        self._ground.attrib.update(size)
        self._svg.attrib.update(size, viewBox=f'0 0 {size["width"]} {size["height"]}')
        ElementTree.indent(self._svg)
        # ASCII is the same in every encoding in which somebody may save it.
        return ElementTree.tostring(self._svg).decode()

    def _draw_exchange(self, exchange: BoundExchange) -> None:
        caption = f'{exchange.name} ({exchange.type})'
        self._reach(self._box('exchange', _MARGIN, self._y, [caption]))
        trunk = self._y + _BOX
        self._y = trunk + _GAP
        for queue in exchange.queues:
            self._draw_queue(queue, trunk)
        self._y += _GAP

    def _draw_queue(self, queue: BoundQueue, trunk: float) -> None:
        # The line to the platform queue passes all other queues, so it has a place of its own.
        x = _MARGIN + (_TRUNK / 2 if queue.is_platform else _TRUNK)
        middle = self._y + _BOX / 2
        self._add(
            'path',
            **{'class': 'copy' if queue.is_platform else 'line'},
            d=f'M{x:g} {trunk:g} V{middle:g} H{self._queue_x:g}',
        )
        self._write(', '.join(queue.keys), _MARGIN + _TRUNK + _GAP / 2, middle - 5, 'note')
        self._box(
            'platform' if queue.is_platform else 'queue', self._queue_x, self._y, queue.caption, self._queue_width
        )
        if queue.tasks:
            right = self._queue_x + self._queue_width
            self._add('path', **{'class': 'tasks'}, d=f'M{right:g} {middle:g} H{self._tasks_x - _GAP / 2:g}')
        for number, task in enumerate(queue.tasks):
            self._write(task, self._tasks_x, middle + 5 + number * _LINE)
        self._y += _BOX + _LINE * (max(len(queue.tasks), len(queue.caption), 1) - 1) + _GAP

    def _draw_lost(self, lost: Lost) -> None:
        lines = [f'lost: {lost.task}', *wrap(lost.reason, _REASON_WIDTH)]
        self._reach(self._box('lost', _MARGIN, self._y, lines))
        self._y += _BOX + _LINE * (len(lines) - 1) + _GAP

    def _box(self, kind: str, x: float, y: float, lines: list[str], width: float = 0) -> float:
        """Draw a box around lines, and give the place of its right edge."""
        width = width or _widest(lines) + _BOX
        height = _BOX + _LINE * (len(lines) - 1)
        self._add('rect', **{'class': kind}, x=x, y=y, width=width, height=height, rx=6)
        for number, line in enumerate(lines):
            self._write(line, x + _BOX / 2, y + _BOX / 2 + 5 + number * _LINE, 'note' if number else 'name')
        return x + width

    def _write(self, text: str, x: float, y: float, kind: str = 'task') -> None:
        self._add('text', text, **{'class': kind}, x=x, y=y)

    def _reach(self, right: float) -> None:
        self._width = max(self._width, right + _MARGIN)

    def _add(self, tag: str, text: str | None = None, **attributes: float | str) -> ElementTree.Element:
        element = ElementTree.SubElement(
            self._svg,
            tag,
            {name: value if isinstance(value, str) else f'{value:g}' for name, value in attributes.items()},
        )
        element.text = text
        return element


def _widest(lines: Iterable[str]) -> float:
    return _CHARACTER * max((cell_len(line) for line in lines), default=0)
