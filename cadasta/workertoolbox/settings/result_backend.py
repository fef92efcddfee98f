"""The URL of the result backend, which is a template: ``{0.RESULT_DB_HOST}`` stands for that variable."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from ..errors import SettingError
from . import urls
from .credentials import masked

_DRIVERLESS = re.compile(r'^((?:db\+|database\+)?)postgresql://')


def rendered(settings: Mapping[str, Any]) -> Any:
    """Render ``result_backend``.

    :param settings: the settings and variables, ``result_backend`` among them.
    :returns: the URL. A value that is not text is returned unchanged.
    :raises SettingError: where the template cannot be rendered, or its text cannot be read as a URL.

    >>> rendered({'result_backend': 'db+postgresql://{0.RESULT_DB_USER}@db/results', 'RESULT_DB_USER': 'a/b'})
    'db+postgresql+psycopg2://a%2Fb@db/results'
    """
    template = settings['result_backend']
    if not isinstance(template, str):
        return template
    try:
        url = template.format(_Encoded(settings))
    except Exception:
        error = SettingError(f"Unable to render 'result_backend' value: {masked(template)!r}")
        error.add_note(
            'Its placeholders are settings and variables of this Config, such as {0.RESULT_DB_HOST}. '
            'Write {{ and }} for braces.'
        )
        raise error from None
    url = _DRIVERLESS.sub(r'\1postgresql+psycopg2://', url)
    urls.check('result_backend', url)
    return url


class _Encoded:
    """The settings as a template sees them. Characters that could break a URL are percent-encoded."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings

    def __getattr__(self, name: str) -> Any:
        value = self._settings[name]
        encode = _ENCODERS.get(name)
        return encode(value) if encode else value


def _quoted(value: str) -> str:
    return quote(value, safe='')


def _database_name(name: str) -> str:
    # SQLAlchemy decodes the name of the database since 2.1. Older versions take the name as it stands.
    if _quoted(name) == name:
        return name
    # Few apps need this import, and it would be a quarter of the cost of importing `Config`.
    from importlib.metadata import version

    major, minor, *_ = version('SQLAlchemy').split('.')
    return _quoted(name) if (int(major), int(minor)) >= (2, 1) else name


def _host(host: str) -> str:
    return f'[{host}]' if ':' in host and not host.startswith('[') else host


_ENCODERS: dict[str, Callable[[str], str]] = {
    'RESULT_DB_USER': _quoted,
    'RESULT_DB_PASS': _quoted,
    'RESULT_DB_NAME': _database_name,
    'RESULT_DB_HOST': _host,
}
