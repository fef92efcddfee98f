"""Diagrams of an app's topology: its exchanges and queues, their bindings, and the queue of each task."""

from collections.abc import Callable

from . import dot, mermaid, svg
from .contents import Diagram, diagram_of

__all__ = ['FORMATS', 'Diagram', 'diagram_of']

#: Functions that write a diagram for documents, by the name of the format.
FORMATS: dict[str, Callable[[Diagram], str]] = {'mermaid': mermaid.write, 'dot': dot.write, 'svg': svg.write}
