"""A release, step by step: ``python setup.py test clean build tag publish``.

The steps need requirements-deploy.txt. The file pyproject.toml describes the distribution.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

from setuptools import Command, setup
from setuptools.command.build import build
from setuptools.errors import BaseError

ROOT = Path(__file__).resolve().parent
LEFT_BY_BUILDS = ('build', 'dist', '*.egg-info', '.eggs', '.*_cache', 'cadasta/**/__pycache__')


def run(*command: str, remedy: str) -> None:
    """Run a command at the top of the repository. If it fails, end the release and print the remedy."""
    try:
        subprocess.run(command, cwd=ROOT, check=True)
    except (OSError, subprocess.CalledProcessError) as e:
        raise BaseError(f'{e}\n{remedy}') from e


def refuse_dirty_tree() -> None:
    status = subprocess.run(['git', 'status', '--porcelain'], cwd=ROOT, check=False, capture_output=True, text=True)
    if status.returncode:
        raise BaseError(f'{status.stderr}A release is made in a git clone of the repository.')
    if status.stdout:
        raise BaseError(f'These files are not committed:\n{status.stdout}Commit or remove them, then build again.')


class Step(Command):
    """A step of a release. It has no options."""

    user_options: ClassVar[list[tuple[str, str | None, str]]] = []

    def initialize_options(self) -> None:
        pass

    def finalize_options(self) -> None:
        pass


class Test(Step):
    description = 'run ./runtests'

    def run(self) -> None:
        run('./runtests', remedy='What fails is named above. Mend it first: a release passes its tests.')


class Clean(Step):
    description = 'remove what builds leave'

    def run(self) -> None:
        for pattern in LEFT_BY_BUILDS:
            for path in ROOT.glob(pattern):
                shutil.rmtree(path)


class Build(build):
    """Make dist/: the source distribution and the wheel that comes out of it.

    setuptools runs a command of this name for every wheel. This class leaves those runs as they are: only the `build`
    of the command line is a step of a release.
    """

    description = 'make the source distribution and the wheel in dist/'

    def run(self) -> None:
        if 'build' in self.distribution.commands:
            run(
                sys.executable,
                '-m',
                'build',
                '--no-isolation',
                remedy='If a module is missing: pip install -r requirements-deploy.txt',
            )
        else:
            super().run()


class Tag(Step):
    description = 'make an annotated git tag of the version and push it to origin'

    def run(self) -> None:
        refuse_dirty_tree()
        version = self.distribution.get_version()
        tag = f'v{version}'
        run(
            'git',
            'tag',
            '--annotate',
            '--message',
            f'Release {version}',
            tag,
            remedy=f'If {tag} exists, raise __version__ in cadasta/workertoolbox/__init__.py.',
        )
        run(
            'git',
            'push',
            'origin',
            tag,
            remedy=f'The tag {tag} was made here but not pushed. Once origin can be reached: git push origin {tag}',
        )


class Publish(Step):
    description = 'check what is in dist/ and upload it with twine, which reads its TWINE_* variables'

    def run(self) -> None:
        refuse_dirty_tree()
        name = self.distribution.get_fullname()
        files = [str(path) for pattern in ('.tar.gz', '-*.whl') for path in ROOT.glob(f'dist/{name}{pattern}')]
        if len(files) != 2:
            raise BaseError(f'dist/ lacks the sdist or the wheel of {name}. First: python setup.py clean build')
        run(
            sys.executable,
            '-m',
            'twine',
            'check',
            '--strict',
            *files,
            remedy='Mend what twine found, or if twine is missing: pip install -r requirements-deploy.txt',
        )
        run(
            sys.executable,
            '-m',
            'twine',
            'upload',
            *files,
            remedy='The index, the user and the password are what TWINE_REPOSITORY_URL, TWINE_USERNAME and '
            'TWINE_PASSWORD (or ~/.pypirc) say. A version can be uploaded only once.',
        )


setup(cmdclass={'test': Test, 'clean': Clean, 'build': Build, 'tag': Tag, 'publish': Publish})
