"""Keep credentials out of the texts that people read: errors, reprs, logs and reports."""

import operator
import re
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

from .secret import MASK, SecretBytes, SecretNumber, SecretText

# This is greedy up to the last '@': a password that should have been percent-encoded may hold '/', '?' or '@' itself.
_USERINFO = re.compile(r'(?<=://)(.*)@(.*)', re.DOTALL)
_PLACEHOLDER = r'\{0[^{}]*\}'
_ONLY_PLACEHOLDERS = re.compile(rf'(?:{_PLACEHOLDER}|:)*')
# This matches to the end of the text, for the same reason.
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

    A placeholder of a credential is shown:

    >>> masked('db+postgresql://{0.RESULT_DB_USER}:{0.RESULT_DB_PASS}@localhost/results')
    'db+postgresql://{0.RESULT_DB_USER}:{0.RESULT_DB_PASS}@localhost/results'
    """
    if _is_hidden(name) or isinstance(value, (SecretBytes, SecretNumber)):
        return MASK
    if isinstance(value, SecretText):
        return value.shown
    if isinstance(value, str):
        return _ASSIGNMENT.sub(rf'\1{MASK}', _USERINFO.sub(_masked_userinfo, value))
    if isinstance(value, Mapping):
        return {masked(key): masked(item, str(key)) for key, item in value.items()}
    if type(value) in (list, tuple, set, frozenset):
        return type(value)(masked(item) for item in value)
    return value


def hidden(value: Any, name: str = '') -> Any:
    """Copy a setting's value with every credential replaced by an equal one whose `repr` hides it.

    It copies the containers that hold a credential, at every depth: a mapping becomes a `dict`. It leaves all else as
    it is.

    :param value: the value: text, a URL, or containers of them.
    :param name: the name of the setting. With a name like ``RESULT_DB_PASS``, all texts, bytes and whole numbers in the
        value are credentials.
    :returns: the value, or a copy that is equal to it.

    >>> options = hidden({'region': 'us-west-2', 'secret_access_key': 'hush'})
    >>> options, options['secret_access_key'] == 'hush'
    ({'region': 'us-west-2', 'secret_access_key': '********'}, True)
    """
    return _hidden(value, _is_hidden(name))


def _hidden(value: Any, whole: bool) -> Any:
    if isinstance(value, str):
        shown = MASK if whole else masked(value)
        return value if shown == value else SecretText(value, shown)
    if isinstance(value, bytes):
        text = value.decode('latin-1')
        return SecretBytes(value) if whole or masked(text) != text else value
    if type(value) is int and whole:
        return SecretNumber(value)
    if isinstance(value, Mapping):
        items = [(_hidden(key, False), _hidden(item, whole or _is_hidden(str(key)))) for key, item in value.items()]
        return value if _are_same(chain(*items), chain(*value.items())) else dict(items)
    for kind in (list, tuple, set, frozenset):
        if isinstance(value, kind):
            members = [_hidden(item, whole) for item in value]
            return value if _are_same(members, value) else getattr(value, '_make', kind)(members)
    return value


def _are_same(left: Iterable[Any], right: Iterable[Any]) -> bool:
    return all(map(operator.is_, left, right))


def _is_hidden(name: str) -> bool:
    if not name:
        return False
    # This import loads the library of a broker, which a reader of tasks does not need.
    from celery.app.utils import filter_hidden_settings

    # Celery parses the value if the name is the setting of a broker's URL. The dot makes it another name.
    return bool(filter_hidden_settings({f'.{name}': None})[f'.{name}'])


def _masked_userinfo(match: re.Match[str]) -> str:
    userinfo, rest = match.groups()
    if _ONLY_PLACEHOLDERS.fullmatch(userinfo):
        return match[0]
    # The '@' may belong to a password in a query. Then the rest of that password follows it.
    assignment = _ASSIGNMENT.search(match[0])
    return MASK if assignment and assignment.start() < len(userinfo) else f'{MASK}@{rest}'
