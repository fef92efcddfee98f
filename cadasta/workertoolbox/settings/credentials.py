"""Keep credentials out of what people read: errors, reprs, logs and reports."""

import re
from collections.abc import Mapping
from typing import Any

from celery.app.utils import HIDDEN_SETTINGS

MASK = '*' * 8

# Greedy up to the last '@': a password that should have been percent-encoded may hold '/', '?' or '@' itself.
_USERINFO = re.compile(r'(?<=://)(.*)@(.*)', re.DOTALL)
_PLACEHOLDER = r'\{0[^{}]*\}'
_ONLY_PLACEHOLDERS = re.compile(rf'(?:{_PLACEHOLDER}|:)*')
# To the end of the text, for the same reason.
_ASSIGNMENT = re.compile(
    rf'(\w*(?:pass|secret|token|signature|access_?key|account_?key|api_?key)\w*=)(?!{_PLACEHOLDER}(?:&|$)).+',
    re.IGNORECASE | re.DOTALL,
)


def masked(value: Any, name: str = '') -> Any:
    """Copy a setting's value with every credential replaced by asterisks.

    :param value: the value: text, a URL, or containers of them.
    :param name: the name of the setting; names such as ``RESULT_DB_PASS`` hide the whole value.
    :returns: the value in its own type, fit to be shown.

    >>> masked('amqp://guest:hush@localhost//')
    'amqp://********@localhost//'
    >>> masked({'region': 'us-west-2', 'secret_access_key': 'hush'})
    {'region': 'us-west-2', 'secret_access_key': '********'}

    What only stands for a credential is shown:

    >>> masked('db+postgresql://{0.RESULT_DB_USER}:{0.RESULT_DB_PASS}@localhost/results')
    'db+postgresql://{0.RESULT_DB_USER}:{0.RESULT_DB_PASS}@localhost/results'
    """
    if HIDDEN_SETTINGS.search(name):
        return MASK
    if isinstance(value, str):
        return _ASSIGNMENT.sub(rf'\1{MASK}', _USERINFO.sub(_masked_userinfo, value))
    if isinstance(value, Mapping):
        return {key: masked(item, str(key)) for key, item in value.items()}
    if type(value) in (list, tuple, set, frozenset):
        return type(value)(masked(item) for item in value)
    return value


def _masked_userinfo(match: re.Match[str]) -> str:
    userinfo, rest = match.groups()
    if _ONLY_PLACEHOLDERS.fullmatch(userinfo):
        return match[0]
    # The '@' may be one of the password in a query: what follows it is the rest of that password.
    assignment = _ASSIGNMENT.search(match[0])
    return MASK if assignment and assignment.start() < len(userinfo) else f'{MASK}@{rest}'
