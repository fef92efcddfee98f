"""Find what a source file uses of Celery and its companions without their promise that it stays."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

LIBRARIES = frozenset({'amqp', 'billiard', 'botocore', 'boto3', 'celery', 'kombu', 'redis', 'sqlalchemy', 'vine'})

#: The modules that the reference documentation of each library describes for its users.
DOCUMENTED = frozenset(
    {
        'amqp',
        'botocore.exceptions',
        'celery',
        'celery.app',
        'celery.app.backends',
        'celery.app.utils',
        'celery.beat',
        'celery.bin.base',
        'celery.exceptions',
        'celery.signals',
        'celery.states',
        'kombu',
        'kombu.abstract',
        'kombu.compression',
        'kombu.exceptions',
        'kombu.serialization',
        'kombu.transport',
        'kombu.transport.virtual',
        'kombu.transport.virtual.exchange',
        'kombu.utils.json',
        'redis',
        'sqlalchemy',
        'sqlalchemy.dialects',
        'sqlalchemy.engine',
        'sqlalchemy.exc',
        'sqlalchemy.orm',
        'sqlalchemy.schema',
    }
)

#: Names that begin with an underscore, and are documented all the same.
PUBLIC = {
    '_asdict': 'of typing.NamedTuple',
    '_getframe': 'of sys',
    '_mapping': 'of sqlalchemy.Row: its other names are those of columns',
    '_replace': 'of typing.NamedTuple',
}

_REACHING = ('delattr', 'getattr', 'hasattr', 'setattr')
_MAPPINGS = ('__dict__', 'vars')


def uses(source: str, package: Collection[str]) -> Iterator[str]:
    """Name what a source file uses.

    :param source: the text of the file
    :param package: the private names that the package itself defines
    """
    tree = ast.parse(source)
    own = defined(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (_undocumented(alias.name, '') for alias in node.names if _is_undocumented(alias.name, ''))
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [alias.name for alias in node.names]
            yield from (_undocumented(node.module, name) for name in names if _is_undocumented(node.module, name))
        elif name := _reached(node):
            # An object of another class may only be asked for what its class defines here, in the same file.
            allowed = package if _is_of_self(node) else own
            if name not in allowed and name not in PUBLIC:
                yield ast.unparse(node)


def defined(tree: ast.AST) -> set[str]:
    """Name the private functions, classes and attributes that a file defines."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _is_of_self(node):
            names.add(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return {name for name in names if _is_private(name)}


def _reached(node: ast.AST) -> str | None:
    """Tell the private name that an expression reaches for in an object."""
    name: object = None
    if isinstance(node, ast.Attribute):
        name = node.attr
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _REACHING:
        name = node.args[1].value if isinstance(node.args[1], ast.Constant) else None
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and _is_namespace(node.value):
        name = node.slice.value
    return name if isinstance(name, str) and _is_private(name) else None


def _is_namespace(node: ast.expr) -> bool:
    called = node.func if isinstance(node, ast.Call) else node
    return getattr(called, 'id', getattr(called, 'attr', '')) in _MAPPINGS


def _is_of_self(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ('self', 'cls')


def _is_private(name: str) -> bool:
    # `__header__` is Celery's own; `__name__` and its like are Python's, and SQLAlchemy documents `__table__`.
    return name == '__header__' or (name.startswith('_') and not name.endswith('__'))


def _is_undocumented(module: str | None, name: str) -> bool:
    if module is None or module.partition('.')[0] not in LIBRARIES:
        return False
    return name.startswith('_') or (module not in DOCUMENTED and f'{module}.{name}' not in DOCUMENTED)


def _undocumented(module: str | None, name: str) -> str:
    return f'from {module} import {name}' if name else f'import {module}'
