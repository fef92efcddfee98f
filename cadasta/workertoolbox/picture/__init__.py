"""Pictures of an app's topology: what is bound to what, and which task goes where."""

from collections.abc import Callable

from . import dot, mermaid, svg
from .model import NotConfigured, Picture, picture_of

__all__ = ['FORMATS', 'NotConfigured', 'Picture', 'picture_of']

#: How a picture is written for documents, by the name of the format.
FORMATS: dict[str, Callable[[Picture], str]] = {'mermaid': mermaid.write, 'dot': dot.write, 'svg': svg.write}
