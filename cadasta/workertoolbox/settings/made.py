"""Refuse to change a `Config` after it was made, and to configure an app by the class instead of an instance."""

from collections.abc import Mapping
from typing import Any, NoReturn

from ..errors import ChangeError


class _Instances:
    """Refuses a class as the configuration of an app: Celery would take it, and find no settings.

    Its name is that of the setting that Celery's loader looks up first in each configuration.
    """

    def __get__(self, instance: Any, owner: type) -> NoReturn:
        # An instance has this setting, and so it never gets here.
        how = f'app.config_from_object({owner.__name__}())'
        raise TypeError(f'{owner.__name__} is a class, with no settings yet. Configure the app with an instance: {how}')


class Made(Mapping[str, Any]):
    """The base of `Config` at run time. Type checkers see another base, which has an attribute for each setting."""

    override_backends = _Instances()

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise _unchangeable(name)

    def __delattr__(self, name: str) -> NoReturn:
        raise _unchangeable(name)

    def __setitem__(self, name: str, value: Any) -> NoReturn:
        raise _unchangeable(name)

    def __delitem__(self, name: str) -> NoReturn:
        raise _unchangeable(name)


def _unchangeable(name: str) -> ChangeError:
    return ChangeError(
        f'A Config cannot be changed after it was made. Give {name} as a keyword, Config({name}=…), or as an attribute '
        f'of a subclass. For an app that has its Config already: app.conf.{name} = …'
    )
