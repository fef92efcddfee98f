"""The errors that this package raises. Each text says what is wrong and what to change."""


class ToolboxError(Exception):
    """The base of all of them.

    >>> try:
    ...     raise NotUsable('The database has no table.')
    ... except ToolboxError as error:
    ...     print(error)
    The database has no table.
    """


class SettingError(ToolboxError, ValueError):
    """A setting of a `cadasta.workertoolbox.conf.Config` has a value that it cannot have."""


class ChangeError(ToolboxError, AttributeError):
    """Somebody assigned to a `cadasta.workertoolbox.conf.Config`, which cannot be changed after it was made."""


class NotConfigured(ToolboxError):  # noqa: N818  # the app is at fault
    """A `cadasta.workertoolbox.conf.Config` is needed, and the app is configured by something else."""


class TaskModuleError(ToolboxError, ImportError):
    """A task module of an app cannot be imported."""


class NotUsable(ToolboxError):  # noqa: N818  # the database or the file is at fault
    """A database or a file cannot be used, and waiting does not help."""


class NotAllowed(ToolboxError):  # noqa: N818  # the database refuses
    """The role of a worker may store results, and nothing else."""


class Unreadable(ToolboxError, ValueError):  # noqa: N818  # the sender is at fault
    """Nobody can read a message as a task."""


class UnreadableResult(ToolboxError):  # noqa: N818  # whoever stored it is at fault
    """A stored result is a pickle, which is never loaded, or nothing that the app's serializer can read."""


class BadTaskId(ToolboxError, ValueError):  # noqa: N818  # the caller is at fault
    """Neither the table of tasks nor that of results can hold the id of a task."""
