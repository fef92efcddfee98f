"""The page in a real browser, on a desk and on a phone, by light and in the dark."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from urllib.parse import quote, urlsplit

import pytest
from axe_core_python.selenium import Axe
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from rig.monitor.programs import Toolbox
from rig.servers.broker import Broker
from rig.servers.browser import DESK, PHONE, Browser
from rig.servers.process import Processes, wait_until

from .seed import HOSTILE, Seed

pytestmark = pytest.mark.slow

TASK_OF_ALL_SORTS = f'/tasks/{quote(HOSTILE)}'
PAGES = [
    '/',
    '/tasks?state=FAILURE',
    '/tasks?root=nothing&newer=x',
    '/tasks/project',
    '/tasks/later',
    TASK_OF_ALL_SORTS,
    '/failures',
    '/names',
    '/workers',
    '/counts',
    '/tasks/nowhere',
]


class Site:
    """The page in the browser.

    :param url: where it is served
    """

    def __init__(self, browser: Browser, url: str) -> None:
        self.browser = browser
        self.driver = browser.driver
        self.url = url.rstrip('/')

    def open(self, path: str) -> None:
        self.driver.get(self.url + path)

    @property
    def path(self) -> str:
        return self.driver.current_url.removeprefix(self.url)

    @property
    def heading(self) -> str:
        return self.driver.find_element(By.TAG_NAME, 'h1').text

    @property
    def ids(self) -> list[str]:
        return [element.text for element in self.driver.find_elements(By.CSS_SELECTOR, 'td .id')]

    def follow(self, text: str) -> None:
        self.driver.find_element(By.LINK_TEXT, text).click()

    def press(self, *keys: str) -> WebElement:
        """Presses keys, each on the element that has the focus then; returns the one that has it in the end."""
        for key in keys:
            self.driver.switch_to.active_element.send_keys(key)
        return self.driver.switch_to.active_element


@pytest.fixture(scope='module')
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page with tasks of all sorts. No test can change them."""
    directory = tmp_path_factory.mktemp('site')
    seed = Seed(f'sqlite:///{directory}/tasks.db')
    for number in range(60):
        seed.task(f'old-{number:02}', 'SUCCESS', 4_000 + number)
    seed.project()
    seed.task('first', 'STARTED', 3_700, options={'chain': [{'task': 'msg.send', 'options': {'task_id': 'later'}}]})
    seed.worker('export@host')
    seed.hostile()
    with Processes(directory) as processes:
        toolbox = Toolbox(directory, processes, Broker('memory', 'memory://', {}), seed.url)
        yield toolbox.start('ui', '--port', '0', '--show-arguments').wait_for(r'^http://\S+/$')[0]


@pytest.fixture(scope='module')
def chromium() -> Iterator[Browser]:
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture
def site(url: str, chromium: Browser) -> Iterator[Site]:
    """The page in a browser. Whatever a test does, the browser asks nobody else and does not complain."""
    chromium.emulate(DESK)
    chromium.requested(), chromium.complaints()
    yield Site(chromium, url)
    assert chromium.requested() <= {urlsplit(url).netloc}
    assert chromium.complaints() == []


def test_filter_by_keyboard_alone(site: Site) -> None:
    site.open('/tasks')
    focus = site.press(Keys.TAB)
    assert focus.text == 'Skip to the content'
    focus = site.press(Keys.ENTER)
    assert focus.get_attribute('id') == 'main'
    focus = site.press(Keys.TAB)
    assert focus.accessible_name == 'Id or name'
    focus = site.press('msg.*', Keys.TAB)
    assert focus.accessible_name == 'State'
    site.press('FAIL', Keys.TAB, Keys.ENTER)
    # An element may still be of the old page, and go away while it is looked at.
    wait_until(lambda: 'find=msg.*' in site.path, 'the list to be filtered')
    assert site.ids == ['message']
    assert site.driver.find_element(By.ID, 'find').get_attribute('value') == 'msg.*'
    while (focus := site.press(Keys.TAB)).text != 'msg.send':
        assert focus.tag_name != 'body'
    site.press(Keys.ENTER)
    wait_until(lambda: site.path == '/tasks/message', 'the task to be opened')


def test_every_focus_can_be_seen(site: Site) -> None:
    site.open('/tasks/message')
    focus = site.press(Keys.TAB)
    while focus.tag_name != 'body':
        assert focus.value_of_css_property('outline-style') == 'solid', focus.text
        assert focus.is_displayed()
        focus = site.press(Keys.TAB)


def test_pages(site: Site) -> None:
    site.open('/tasks?find=old-')
    first = site.ids
    assert len(first) == 50
    site.follow('Older')
    second = site.ids
    assert [*first, *second] == [f'old-{number:02}' for number in range(60)]
    assert not site.driver.find_elements(By.LINK_TEXT, 'Older')
    site.follow('Newest')
    assert site.ids == first


def test_times_are_in_the_zone_of_the_viewer(site: Site) -> None:
    site.driver.execute_cdp_cmd('Emulation.setTimezoneOverride', {'timezoneId': 'Asia/Kathmandu'})
    site.open('/tasks/message')
    time = site.driver.find_element(By.CSS_SELECTOR, '.facts time')
    moment = datetime.fromisoformat(time.get_attribute('datetime') or '') + timedelta(hours=5, minutes=45)
    assert time.text == f'{moment:%Y-%m-%d %H:%M:%S}'
    assert site.driver.find_element(By.CSS_SELECTOR, 'footer .zone').text in ('Asia/Kathmandu', 'Asia/Katmandu')
    site.driver.execute_cdp_cmd('Emulation.setTimezoneOverride', {'timezoneId': ''})


def test_the_overview_keeps_itself_up_to_date(site: Site) -> None:
    site.open('/')
    site.driver.execute_script('document.querySelector("h1").textContent = "Old"; refresh(main)')
    wait_until(lambda: site.heading == 'Now', 'the page to be up to date')
    # Whoever moves by keyboard keeps the place.
    site.driver.execute_script('document.querySelector("h1").textContent = "Old"; main.focus(); refresh(main)')
    assert site.heading == 'Old'


def test_from_the_counts_to_a_workflow(site: Site) -> None:
    site.open('/')
    site.follow('Counts')
    site.follow('Last hour')
    assert site.driver.find_element(By.CSS_SELECTOR, 'main nav [aria-current]').text == 'Last hour'
    site.follow('Last day')
    site.follow('FAILURE')
    assert site.ids == ['message']
    site.follow('msg.send')
    assert site.heading == 'msg.send FAILURE'
    names = [row.find_element(By.TAG_NAME, 'a').text for row in site.driver.find_elements(By.CSS_SELECTOR, 'tbody tr')]
    assert names == ['export.project', 'export.layer', 'msg.send', 'export.archive', 'export.layer', 'export.layer']
    bars = [bar.rect for bar in site.driver.find_elements(By.TAG_NAME, 'rect')]
    assert [bar['x'] for bar in bars[:4]] == sorted(bar['x'] for bar in bars[:4])
    assert all(bar['width'] > 0 for bar in bars)
    site.follow('export.archive')
    assert site.path == '/tasks/archive'


def test_hostile_names_are_text(site: Site) -> None:
    site.open('/tasks?queue=' + quote(HOSTILE))
    site.follow(HOSTILE)
    assert site.heading == f'{HOSTILE} {HOSTILE[:50]}'
    assert [element.text for element in site.driver.find_elements(By.TAG_NAME, 'pre')][2] == HOSTILE
    assert site.driver.find_elements(By.CSS_SELECTOR, 'main script, main img') == []
    assert len(site.driver.find_elements(By.TAG_NAME, 'script')) == 1


def test_page_may_load_nothing_else(site: Site) -> None:
    site.open('/')
    elsewhere, styles = '<img src="https://elsewhere.invalid/">', '<style>body { color: red }</style>'
    for violation in (elsewhere, styles, '<p style="top: 0">'):
        site.driver.execute_script('document.body.insertAdjacentHTML("beforeend", arguments[0])', violation)
        complaints = wait_until(site.browser.complaints, 'the browser to complain')
        assert any('Content Security Policy' in complaint for complaint in complaints), violation
    assert 'elsewhere.invalid' in site.browser.requested()


@pytest.mark.parametrize('path', PAGES, ids=range(len(PAGES)))
def test_phone_scrolls_down_only(site: Site, path: str) -> None:
    site.browser.emulate(PHONE)
    site.open(path)
    assert site.driver.execute_script('return innerWidth') == PHONE[0]
    assert site.driver.execute_script('return document.documentElement.scrollWidth') == PHONE[0]
    site.browser.complaints()


@pytest.mark.parametrize(('size', 'scheme'), [(DESK, 'light'), (PHONE, 'dark')], ids=['desk', 'phone'])
@pytest.mark.parametrize('path', PAGES, ids=range(len(PAGES)))
def test_accessible(site: Site, path: str, size: tuple[int, int], scheme: str) -> None:
    site.browser.emulate(size, scheme)
    site.open(path)
    found = Axe().run(site.driver)
    assert found['violations'] == []
    assert {'color-contrast', 'landmark-one-main'} <= {rule['id'] for rule in found['passes']}
    site.browser.complaints()
