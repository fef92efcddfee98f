"""Diagrams of an app's topology: what is bound to what, and which task goes where."""

from collections.abc import Callable

from . import dot, mermaid, svg
from .contents import Diagram, diagram_of

__all__ = ['FORMATS', 'Diagram', 'diagram_of']

#: How a diagram is written for documents, by the name of the format.
FORMATS: dict[str, Callable[[Diagram], str]] = {'mermaid': mermaid.write, 'dot': dot.write, 'svg': svg.write}
