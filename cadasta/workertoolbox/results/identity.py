"""The name by which a run of a worker claims tasks."""

import os
import uuid

# Children that are not forked but spawned inherit it as well.
_VARIABLE = 'CADASTA_WORKER'
_LENGTH = 155


def take_name(nodename: str) -> None:
    """Give this process and its children a name of their own, that no other run of a worker has.

    Nothing keeps two workers on one host, or two containers, from having one node name.

    :param nodename: Celery's name of the worker, such as ``export@host``.
    """
    own = f'#{os.getpid()}.{uuid.uuid4().hex[:8]}'
    os.environ[_VARIABLE] = f'{nodename[: _LENGTH - len(own)]}{own}'


def name() -> str | None:
    """Tell the name of the worker that this process belongs to, if it belongs to one."""
    return os.environ.get(_VARIABLE)
