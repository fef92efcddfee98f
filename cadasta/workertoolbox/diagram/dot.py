"""A diagram in the language of Graphviz."""

from collections.abc import Iterator
from textwrap import wrap

from .contents import Diagram

_WIDTH = 60


def write(diagram: Diagram) -> str:
    """Write a diagram as a graph for ``dot``, in ASCII.

    :param diagram: the diagram.
    :returns: the graph.

    >>> print(write(Diagram((), ())).splitlines()[0])
    digraph topology {
    """
    return '\n'.join(_lines(diagram))


def _lines(diagram: Diagram) -> Iterator[str]:
    yield 'digraph topology {'
    yield '    rankdir=LR'
    yield '    node [shape=box, style="rounded,filled", fillcolor=white, fontname="sans-serif"]'
    yield '    edge [fontname="monospace"]'
    for number, exchange in enumerate(diagram.exchanges):
        label = _label(exchange.name, f'{exchange.type} exchange')
        yield f'    e{number} [label="{label}", shape=hexagon, style=filled, fillcolor="#dbeafe"]'
        for place, queue in enumerate(exchange.queues):
            node = f'q{number}_{place}'
            yield f'    {node} [label="{_label(*queue.caption)}"{", " + _PLATFORM if queue.is_platform else ""}]'
            yield f'    e{number} -> {node} [label="{_label(*queue.keys)}"]'
            if queue.tasks:
                yield f'    t{number}_{place} [label="{_label(*queue.tasks, end=_LEFT)}", style=dashed]'
                yield f'    {node} -> t{number}_{place} [dir=none, style=dashed]'
    for number, lost in enumerate(diagram.lost):
        label = _label(f'lost: {lost.task}', *wrap(lost.reason, _WIDTH), end=_LEFT)
        yield f'    lost{number} [label="{label}", fillcolor="#fee2e2"]'
    yield '}'


_PLATFORM = 'fillcolor="#fef3c7"'
_LEFT = '\\l'


def _label(*lines: str, end: str = '\\n') -> str:
    return ''.join(f'{_escaped(line)}{end}' for line in lines).removesuffix('\\n')


def _escaped(text: str) -> str:
    text = text.replace('&', '&amp;').replace('\\', '\\\\').replace('"', '\\"')
    return text.encode('ascii', 'xmlcharrefreplace').decode()
