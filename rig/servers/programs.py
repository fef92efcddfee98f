"""Find the programs that no wheel brings."""

from __future__ import annotations

import os
import shutil

# The path of a user often lacks the folders where Debian keeps the programs of the administrator.
SEARCHED = os.pathsep.join([os.environ.get('PATH', os.defpath), '/usr/local/sbin', '/usr/sbin', '/sbin'])
#: The packages of Debian whose names differ from that of the program in them.
PACKAGES = {
    'chromedriver': 'chromium-driver',
    'epmd': 'erlang-base',
    'nginx': 'nginx-light',
    'promtool': 'prometheus',
    'systemd-analyze': 'systemd',
}


class MissingError(Exception):
    """The machine lacks something.

    :param what: the thing that it lacks
    :param remedy: the command that brings it
    """

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f'{what} ({remedy})')


def find_program(name: str) -> str:
    """Find a program.

    :param name: the name of the program
    :returns: its path
    :raises MissingError: where the machine does not have it
    """
    program = shutil.which(name, path=SEARCHED)
    if program is None:
        raise MissingError(name, f'apt-get install {PACKAGES.get(name, name)}')
    return program
