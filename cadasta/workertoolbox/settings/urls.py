"""Check the URLs of brokers and of result backends."""

import re
from typing import Any, TypeGuard
from urllib.parse import urlsplit

from ..errors import SettingError
from .credentials import masked

_DATABASES = ('db+', 'database+')
_QUERY_PASSWORD = re.compile(r'[?&]\w*(?:pass|secret|token)\w*=', re.IGNORECASE)
# Celery would take such a password for a list of servers, and show a part of it.
_LIST = re.compile('[,;].*:')


def is_database(backend: object) -> TypeGuard[str]:
    """Tell whether results go to a database.

    :param backend: Celery's ``result_backend``.

    >>> is_database('db+sqlite:///results.db'), is_database('redis://'), is_database(None)
    (True, False, False)
    """
    return isinstance(backend, str) and backend.startswith(_DATABASES)


def check(name: str, url: Any) -> None:
    """Refuse a URL that two programs could read differently: Celery would log a password that it does not recognise.

    :param name: the setting that has the URL.
    :param url: the URL, or several between semicolons. A value that is not text passes.
    :raises SettingError: where the URL cannot be read, or has a password in its query.

    >>> check('broker_url', 'amqp://guest:guest@localhost//')
    """
    if not isinstance(url, str):
        return
    if _QUERY_PASSWORD.search(url):
        raise SettingError(f'{name} has a password in its query, where Celery would log it: write user:password@host')
    has_scheme = '://' in url
    parts = [url] if is_database(url) else url.split(';')
    if not (has_scheme or '@' not in url) or not all(map(_is_clear, parts)):
        shown = masked(url) if has_scheme else masked(f'://{url}').removeprefix('://')
        raise SettingError(
            f'{name} is {shown!r}: it cannot be read as a URL. If its password has other characters than '
            'letters and digits, percent-encode them, with urllib.parse.quote(password, safe="")'
        )


def _is_clear(url: str) -> bool:
    if '://' not in url:
        return '@' not in url or ':' in url.partition('@')[0]
    try:
        authority = urlsplit(url).netloc
        userinfo, _, host = authority.rpartition('@')
        # Some transports take a list of hosts.
        _ = ',' in host or urlsplit(url).port
    except ValueError:
        return False
    return not authority or ('@' not in url.partition(authority)[2] and not _LIST.search(userinfo.partition(':')[2]))
