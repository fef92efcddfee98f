"""Ask for a name and a password, by HTTP Basic."""

import hmac
import logging
import os
import re
import secrets
import stat
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from flask import Flask, abort, request
from werkzeug.datastructures import Authorization, WWWAuthenticate
from werkzeug.exceptions import TooManyRequests, Unauthorized
from werkzeug.security import check_password_hash

from ..errors import NotUsable

logger = logging.getLogger(__name__)

_HASH = re.compile(r'([a-z0-9:]+)\$[^$]+\$[0-9a-f]+')
_CHALLENGE = WWWAuthenticate('basic', {'realm': 'Worker Toolbox', 'charset': 'UTF-8'})


class Users:
    """The users in a file, each with the hash of a password.

    It reads the file for each request, so that a change counts at once.

    :param path: the file. Each line is ``NAME:HASH``, with a hash that Werkzeug's ``generate_password_hash`` made.
    :raises NotUsable: where the file cannot be used. The error names the line, and shows nothing of it.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._key = secrets.token_bytes()
        self._proofs: dict[str, bytes] = {}
        self._turn = threading.Lock()
        self.read()
        if self._path.stat().st_mode & stat.S_IROTH:
            logger.warning('Anybody on this machine may read the hashes in %s. Try: chmod o-r', self._path)

    def read(self) -> dict[str, str]:
        """Read the file.

        :returns: the hash of each name.
        :raises NotUsable: where the file cannot be used.
        """
        try:
            with self._path.open('rb') as file:
                mode = os.fstat(file.fileno()).st_mode
                lines = file.read().splitlines()
        except OSError as error:
            raise NotUsable(f'The users in {self._path} cannot be read: {error.strerror}') from None
        if mode & stat.S_IWOTH:
            raise NotUsable(f'Anybody on this machine may add a user to {self._path}. Try: chmod o-w')
        users: dict[str, str] = {}
        for number, name, stored in self._parsed(lines):
            if name in users:
                raise self._broken(number, 'has the name of a line above')
            users[name] = stored
        if not users:
            raise NotUsable(f'{self._path} has no user, so nobody could see the page. A line is NAME:HASH.')
        return users

    def _parsed(self, lines: list[bytes]) -> Iterator[tuple[int, str, str]]:
        for number, line in enumerate(lines, 1):
            try:
                # Editors of Windows begin a file with a mark, which this encoding leaves out.
                text = line.decode('utf-8-sig').strip()
            except UnicodeDecodeError:
                raise self._broken(number, 'is not in UTF-8') from None
            name, _, stored = text.partition(':')
            if text and not (name and _is_hash(stored)):
                raise self._broken(number, 'has no name, or no hash that generate_password_hash made')
            if text:
                yield number, name, stored

    def _broken(self, number: int, problem: str) -> NotUsable:
        return NotUsable(f'{self._path}, line {number} {problem}. A line is NAME:HASH.')

    def name_of(self, given: Authorization | None) -> str:
        """Check a name and a password.

        One password is checked at a time, because that takes a processor a tenth of a second. While it is, other
        requests do not wait, and are refused. A password that was right before needs no such check.

        :param given: the header of the request.
        :returns: the name.
        :raises werkzeug.exceptions.Unauthorized: where there is none, or the password is wrong.
        :raises werkzeug.exceptions.TooManyRequests: where another password is being checked.
        :raises NotUsable: where the file cannot be used any more.
        """
        users = self.read()
        if given is None or given.username is None or given.password is None:
            raise Unauthorized('This page asks for a name and a password.', www_authenticate=_CHALLENGE)
        name, password = given.username, given.password
        # An unknown name takes as long as a known one: the hash of another user is tried, in vain. `hash` has a secret
        # of the process, so nobody foresees which one.
        stored = users.get(name) or list(users.values())[hash(name) % len(users)]
        proof = hmac.digest(self._key, f'{stored}:{password}'.encode(), 'sha256')
        if hmac.compare_digest(proof, self._proofs.get(name, b'')):
            return name
        if not (self._is_right(stored, password) and name in users):
            raise Unauthorized('The name or the password is wrong.', www_authenticate=_CHALLENGE)
        self._proofs[name] = proof
        return name

    def _is_right(self, stored: str, password: str) -> bool:
        if not self._turn.acquire(blocking=False):
            raise TooManyRequests('Another password is being checked. Try again in a second.', retry_after=1)
        try:
            return check_password_hash(stored, password)
        finally:
            self._turn.release()


def ask_for_users(app: Flask, users: Users) -> None:
    """Let an application answer to users alone. Everybody may ask for its health.

    :param app: the application.
    :param users: the users.
    """

    @app.before_request
    def authenticate() -> None:
        if request.endpoint == 'probes.healthz':
            return
        try:
            request.environ['REMOTE_USER'] = users.name_of(request.authorization)
        except NotUsable as error:
            logger.error('%s', error)
            abort(503, 'The file of users cannot be used. The log of this page says why.')


def _is_hash(stored: str) -> bool:
    found = _HASH.fullmatch(stored)
    return found is not None and _can_hash(found[1])


@cache
def _can_hash(method: str) -> bool:
    try:
        check_password_hash(f'{method}$salt$', '')
    except (ValueError, OverflowError, MemoryError):
        return False
    return True
