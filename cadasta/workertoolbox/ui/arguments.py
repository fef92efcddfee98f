"""Decide who sees arguments, results, tracebacks and the texts of errors."""

import re
from collections.abc import Collection

from flask import Flask, current_app

from ..errors import SettingError
from .proxies import has_header

# Web servers drop a header with an underscore in its name, because it could pass for another one.
_HEADER = re.compile(r'([A-Za-z0-9-]+)=(.+)')


def decide(app: Flask, to_all: bool, roles: Collection[str]) -> None:
    """Set who sees them.

    :param app: the application.
    :param to_all: whether everybody sees them.
    :param roles: headers of a trusted proxy with which somebody sees them, each as ``HEADER=VALUE``.
    :raises SettingError: where one is written otherwise.
    """
    app.config.update(SHOW_ARGUMENTS=to_all, ARGUMENTS_FOR=[_role(role) for role in roles])


def are_shown() -> bool:
    """Tell whether whoever sent the request at hand sees them."""
    config = current_app.config
    return config['SHOW_ARGUMENTS'] or any(has_header(name, value) for name, value in config['ARGUMENTS_FOR'])


def _role(text: str) -> tuple[str, str]:
    found = _HEADER.fullmatch(text)
    if found is None:
        raise SettingError(f'{text!r} is no header with a value. Write it HEADER=VALUE, as in X-Role=operator.')
    return found[1], found[2]
