"""A diagram as a Mermaid flowchart, for Markdown documents."""

import re
from collections.abc import Iterator

from .contents import Diagram

_STYLES = """\
    classDef exchange fill:#dbeafe,stroke:#1d4ed8,color:#1f2328
    classDef platform fill:#fef3c7,stroke:#b45309,color:#1f2328
    classDef lost fill:#fee2e2,stroke:#b91c1c,color:#1f2328
    classDef tasks fill:none,stroke-dasharray:4 3,text-align:left"""


def write(diagram: Diagram) -> str:
    """Write a diagram as a Mermaid flowchart, in ASCII.

    :param diagram: the diagram.
    :returns: the flowchart.

    >>> print(write(Diagram((), ())).splitlines()[0])
    flowchart LR
    """
    return '\n'.join(_lines(diagram))


def _lines(diagram: Diagram) -> Iterator[str]:
    yield 'flowchart LR'
    for number, exchange in enumerate(diagram.exchanges):
        yield f'    e{number}{{{{"{_label(exchange.name, f"{exchange.type} exchange")}"}}}}:::exchange'
        for place, queue in enumerate(exchange.queues):
            node = f'q{number}_{place}'
            yield f'    {node}(["{_label(*queue.caption)}"]){":::platform" if queue.is_platform else ""}'
            line = '==' if queue.is_platform else '--'
            yield f'    e{number} {line} "{_label(*queue.keys)}" {line}> {node}'
            if queue.tasks:
                yield f'    {node} --- t{number}_{place}["{_label(*queue.tasks)}"]:::tasks'
    for number, lost in enumerate(diagram.lost):
        yield f'    lost{number}["{_label(f"lost: {lost.task}", lost.reason)}"]:::lost'
        # Mermaid puts a box without a line on top of others.
        yield f'    e0 -.-x lost{number}'
    yield _STYLES


def _label(*lines: str) -> str:
    return '<br/>'.join(re.sub(r'[^A-Za-z0-9_., /:-]', lambda match: f'#{ord(match[0])};', line) for line in lines)
