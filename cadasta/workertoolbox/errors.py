"""The errors and the warning of this package. Each text says what is wrong and what to change."""


class ToolboxError(Exception):
    """The base class of all errors of this package.

    >>> try:
    ...     raise NotUsable('The database has no table.')
    ... except ToolboxError as error:
    ...     print(error)
    The database has no table.
    """


class SettingError(ToolboxError, ValueError):
    """A setting of a `cadasta.workertoolbox.conf.Config`, or of the page, has a value that it cannot have.

    >>> from cadasta.workertoolbox import Config
    >>> try:
    ...     Config(RESULT_DB_PORT='abc')
    ... except SettingError as error:
    ...     print(error)
    RESULT_DB_PORT is 'abc': it must be a whole number from 1 to 65535
    """


class ChangeError(ToolboxError, AttributeError, TypeError):
    """Somebody assigned to a `cadasta.workertoolbox.conf.Config`, which cannot be changed after it was made.

    >>> from cadasta.workertoolbox import Config
    >>> config = Config()
    >>> try:
    ...     config.task_time_limit = 60
    ... except ChangeError as error:
    ...     print(str(error).partition('.')[0])
    A Config cannot be changed after it was made
    """


class NotConfigured(ToolboxError):  # noqa: N818  # the app is at fault
    """An app must be configured by a `cadasta.workertoolbox.conf.Config`, and this one is not.

    >>> from celery import Celery
    >>> from cadasta.workertoolbox.diagram.contents import diagram_of
    >>> try:
    ...     diagram_of(Celery('export', broker='memory://'))
    ... except NotConfigured as error:
    ...     print(str(error).partition(',')[0])
    App 'export' is not configured by a Config
    """


class TaskModuleError(ToolboxError, ImportError):
    """A task module of an app cannot be imported.

    >>> from celery import Celery
    >>> from cadasta.workertoolbox.rehearsal.loading import load
    >>> try:
    ...     load(Celery('export', include=['export.tsks']))
    ... except TaskModuleError as error:
    ...     print(str(error).partition(':')[0])
    Task module 'export.tsks' of app 'export' cannot be imported
    """


class NotUsable(ToolboxError):  # noqa: N818  # the database or the file is at fault
    """A database or a file cannot be used. To try again later does not help.

    >>> from cadasta.workertoolbox import TrackedTasks
    >>> try:
    ...     TrackedTasks('mysql://user:hush@localhost/tasks')
    ... except NotUsable as error:
    ...     print(error)
    'mysql://********@localhost/tasks' is not the URL of a PostgreSQL or SQLite database
    """


class NotAllowed(ToolboxError):  # noqa: N818  # the database refuses
    """The role of a worker lacks a right: it may store results, and nothing else.

    >>> try:
    ...     raise NotAllowed('permission denied for table celery_tasksetmeta')
    ... except ToolboxError as error:
    ...     print(error)
    permission denied for table celery_tasksetmeta
    """


class BadTaskId(ToolboxError, ValueError):  # noqa: N818  # the caller is at fault
    """Neither the table of tasks nor that of results can hold the id of a task, so the task was not sent.

    >>> from celery import Celery
    >>> from cadasta.workertoolbox import Config
    >>> app = Celery('export', set_as_current=False)
    >>> app.config_from_object(Config(QUEUES=['export'], broker_url='memory://'))
    >>> try:
    ...     app.send_task('export.project', task_id='L' * 156)
    ... except BadTaskId as error:
    ...     print(str(error).partition(': ')[2])
    it must be text of 1 to 155 characters, without NUL
    """


class BadOutbox(ToolboxError, RuntimeError):  # noqa: N818  # the caller is at fault
    """An outbox is used in a way that would send tasks without their transaction, or never. None was written.

    >>> from celery import Celery
    >>> from cadasta.workertoolbox import Config, outbox
    >>> app = Celery('export', set_as_current=False)
    >>> app.config_from_object(Config(QUEUES=['export'], broker_url='memory://'))
    >>> try:
    ...     with outbox(app, 'postgresql://localhost/shop'): ...
    ... except BadOutbox as error:
    ...     print(str(error).partition(':')[0])
    An outbox was given a str
    """


class Unreadable(ToolboxError, ValueError):  # noqa: N818  # the sender is at fault
    """A message cannot be read as a task.

    >>> from cadasta.workertoolbox.monitor.body import load
    >>> try:
    ...     load(b'', {}, {'content_type': 'application/x-python-serialize'})
    ... except Unreadable as error:
    ...     print(error)
    the body is 'application/x-python-serialize', and only JSON is read
    """


class UnreadableResult(ToolboxError):  # noqa: N818  # whoever stored it is at fault
    """A stored result is a pickle, which is never loaded, or the app's serializer cannot read it.

    >>> from cadasta.workertoolbox.results.reading import decoded
    >>> try:
    ...     decoded(b'no JSON', 'application/json', 'utf-8', None)
    ... except UnreadableResult as error:
    ...     print(str(error).partition('.')[0])
    A stored result is a pickle, or nothing that can be read
    """


class ConformanceNote(UserWarning):
    """The test case that `cadasta.workertoolbox.build_functional_tests` makes found something that is no failure.

    >>> import unittest
    >>> import warnings
    >>> from celery import Celery
    >>> from cadasta.workertoolbox import Config, build_functional_tests
    >>> app = Celery('export')
    >>> app.config_from_object(Config(QUEUES=['export'], task_ignore_result=True))
    >>> @app.task(name='export.project')
    ... def project(id): ...
    >>> tests = unittest.defaultTestLoader.loadTestsFromTestCase(build_functional_tests(app))
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter('always', ConformanceNote)
    ...     tests.run(unittest.TestResult()).wasSuccessful()
    True
    >>> print(str(caught[-1].message).partition('. ')[0])
    Rule 6: No result of these tasks is stored, so they may run twice: task 'export.project'
    """


class NoCurrentApp(ToolboxError, RuntimeError):  # noqa: N818  # the process is at fault
    """A task names no app, and the app that would send it has no settings, so the task was not sent.

    >>> try:
    ...     raise NoCurrentApp("Task 'export.project' was not sent: the code names no app")
    ... except ToolboxError as error:
    ...     print(str(error).partition(':')[0])
    Task 'export.project' was not sent
    """
