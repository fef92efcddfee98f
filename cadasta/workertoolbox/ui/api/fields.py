"""Read the fields of a request. The description of a field is also the rule by which it is read."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from flask import abort, request


class Field(NamedTuple):
    """A field of the query.

    :param text: what it asks for.
    :param pattern: a regular expression that is found in its values.
    :param like: how its values are written.
    :param values: the values that it may have; none for any.
    :param most: the largest value of a number, which begins with 1.
    :param default: the value that it has where nobody gives one.

    >>> Field('The window.', values=('hour', 'day'), default='day').problem('year')
    "'year' is none of hour, day."
    >>> Field('How many.', most=1000).problem('0')
    "'0' is no whole number from 1 to 1,000."
    """

    text: str
    pattern: str | None = None
    like: str = ''
    values: tuple[str, ...] = ()
    most: int | None = None
    default: str | int | None = None

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of its values."""
        found: dict[str, Any] = {'type': 'string'}
        if self.pattern is not None:
            found['pattern'] = self.pattern
        if self.values:
            found['enum'] = list(self.values)
        if self.most is not None:
            found = {'type': 'integer', 'minimum': 1, 'maximum': self.most}
        return found if self.default is None else {**found, 'default': self.default}

    def problem(self, value: str) -> str | None:
        """Tell what is wrong with a value; `None` where nothing is."""
        if self.pattern is not None and not re.search(self.pattern, value):
            return f'{value!r} is not written like {self.like}.'
        if self.values and value not in self.values:
            return f'{value!r} is none of {", ".join(self.values)}.'
        if self.most is not None and not (re.fullmatch('[0-9]{1,9}', value) and 1 <= int(value) <= self.most):
            return f'{value!r} is no whole number from 1 to {self.most:,}.'
        return None


def given(fields: Mapping[str, Field]) -> dict[str, str]:
    """Read the query of the request.

    :param fields: the fields that it may have.
    :returns: the fields that it has.
    :raises BadRequest: where it has another one, or a value that its field may not have. The error names it.
    """
    found = {}
    for name, values in request.args.lists():
        if name not in fields:
            abort(400, f'There is no field {name!r}. The fields are: {", ".join(fields)}.')
        if len(values) > 1:
            abort(400, f'{name}: give one value, and not {len(values)}.')
        (found[name],) = values
        problem = fields[name].problem(found[name])
        if problem is not None:
            abort(400, f'{name}: {problem}')
    return found
