"""How workers store results."""

from .clear_errors import refuse_clearly

__all__ = ['refuse_clearly']
