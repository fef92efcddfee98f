"""How workers store results."""

from .rights import refuse_clearly

__all__ = ['refuse_clearly']
