"""Let a command log where its app has set up logging."""

import logging

import click
from celery import signals
from click.core import ParameterSource

_PACKAGE = __name__.rpartition('.commands.')[0]
_FORMAT = '[%(asctime)s: %(levelname)s] %(message)s'


def set_up_logging(ctx: click.Context, level: int) -> None:
    """Let this package log through the handlers that the app has set up, and set up a handler where there is none.

    An app sets up logging as it does for its workers, by a receiver of ``setup_logging``, or with `logging` when it is
    imported. ``logging.basicConfig`` alone would do nothing then, and the level would have no effect.

    :param ctx: the call of the command, which has the option ``--loglevel``.
    :param level: the level from which on this package logs. A level that the app gives to the logger of this package
        comes before the default of the option.
    :raises Exception: the error of a receiver.
    """
    receivers = signals.setup_logging.send(sender=None, loglevel=level, logfile=None, format=_FORMAT, colorize=False)
    for _, response in receivers:
        if isinstance(response, Exception):
            raise response
    if not receivers:
        logging.basicConfig(level=level, format=_FORMAT)
    package = logging.getLogger(_PACKAGE)
    if not package.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter(_FORMAT))
        package.addHandler(handler)
    is_given = ctx.get_parameter_source('loglevel') is not ParameterSource.DEFAULT
    if is_given or package.level == logging.NOTSET:
        package.setLevel(level)
    _enable(package)


def _enable(package: logging.Logger) -> None:
    # `logging.config` disables the loggers of modules that were imported before, unless it is told not to.
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if isinstance(logger, logging.Logger) and f'{name}.'.startswith(f'{package.name}.'):
            logger.disabled = False
