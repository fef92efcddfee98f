"""Takes pictures of every page for a database with a million tasks: `python -m docs.pages DIRECTORY`.

It needs requirements-test.txt and Chromium. Each page is taken light and dark, on a desk and on a phone. Look at them
when the pages have changed. docs/_static has those that the manual shows.
"""

import argparse
import base64
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from rig.monitor.pages import Pages, filled
from rig.servers.browser import Browser

SIZES = {'desk': (1280, 800), 'phone': (390, 844)}
SCHEMES = ('light', 'dark')
#: A picture shows so much of a long page, in pixels.
HEIGHT = 2600


def main(directory: Path, tasks: int) -> None:
    """Fill a database, and write the pictures.

    :param directory: the directory that they are written into
    :param tasks: the number of tasks in the database
    """
    directory.mkdir(parents=True, exist_ok=True)
    with filled(tasks) as pages, closing(Browser()) as browser:
        take(pages, pages.paths, browser, directory)


def take(pages: Pages, paths: Mapping[str, str], browser: Browser, directory: Path) -> None:
    """Write pictures of pages.

    :param paths: the paths of the pages, by the names of the pictures
    """
    for title, path in paths.items():
        pages.refresh()
        for name, size in SIZES.items():
            for scheme in SCHEMES:
                browser.emulate(size, scheme)
                browser.driver.get(pages.url + path)
                (directory / f'{title}-{name}-{scheme}.png').write_bytes(photographed(browser, size))


def photographed(browser: Browser, size: tuple[int, int]) -> bytes:
    """Take a picture of the whole page, or of the beginning of a long one."""
    width, height = size
    content = browser.command('Page.getLayoutMetrics')['cssContentSize']
    clip = {'x': 0, 'y': 0, 'width': width, 'height': min(max(content['height'], height), HEIGHT), 'scale': 1}
    taken = browser.command('Page.captureScreenshot', format='png', captureBeyondViewport=True, clip=clip)
    return base64.b64decode(taken['data'])


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('directory', type=Path, help='where the pictures are written')
    parser.add_argument('--tasks', type=int, default=1_000_000, help='tasks in the database')
    options = parser.parse_args()
    main(options.directory, options.tasks)
