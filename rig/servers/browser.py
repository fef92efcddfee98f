"""Debian's Chromium, driven by selenium."""

from __future__ import annotations

import json
import tempfile
from typing import Any
from urllib.parse import urlsplit

from selenium.webdriver import Chrome, ChromeOptions, ChromeService

from .programs import find_program

#: The sizes of a window on a desk and on a phone.
DESK, PHONE = (1280, 900), (375, 740)


class Browser:
    """A browser without a window, which logs the requests and the complaints of its pages."""

    def __init__(self) -> None:
        browser, driver = find_program('chromium'), find_program('chromedriver')
        self.directory = tempfile.TemporaryDirectory(prefix='chromium-', ignore_cleanup_errors=True)
        options = ChromeOptions()
        options.binary_location = browser
        # In a container, the browser has no sandbox as root, and shared memory is small.
        for argument in (
            '--headless=new',
            '--no-sandbox',
            '--disable-dev-shm-usage',
            '--disable-gpu',
            '--disable-background-networking',
            f'--user-data-dir={self.directory.name}',
        ):
            options.add_argument(argument)
        options.set_capability('goog:loggingPrefs', {'browser': 'ALL', 'performance': 'ALL'})
        self.driver = Chrome(options, ChromeService(driver))

    def emulate(self, size: tuple[int, int], scheme: str = 'light') -> None:
        """Take the size of a window, in CSS pixels, and the colours that the user prefers."""
        width, height = size
        self.command(
            'Emulation.setDeviceMetricsOverride',
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < DESK[0],
        )
        self.command('Emulation.setEmulatedMedia', features=[{'name': 'prefers-color-scheme', 'value': scheme}])

    def command(self, name: str, **parameters: Any) -> Any:
        """Send a command of the Chrome DevTools Protocol."""
        return self.driver.execute_cdp_cmd(name, parameters)

    def requested(self) -> set[str]:
        """Take the hosts to which the pages sent requests."""
        messages = (json.loads(entry['message'])['message'] for entry in self.driver.get_log('performance'))
        return {
            urlsplit(message['params']['request']['url']).netloc
            for message in messages
            if message['method'] == 'Network.requestWillBeSent'
        }

    def complaints(self) -> list[str]:
        """Take the lines of the console: errors of scripts and requests, violations of the Content-Security-Policy."""
        return [entry['message'] for entry in self.driver.get_log('browser')]

    def close(self) -> None:
        self.driver.quit()
        self.directory.cleanup()
