// Writes times in the viewer's time zone, and keeps a page up to date that asks for it. Pages are whole without it.
'use strict';

const INTERVAL = 15000;

function two(number) {
    return String(number).padStart(2, '0');
}

function writeTimes(part) {
    for (const time of part.querySelectorAll('time')) {
        const moment = new Date(time.dateTime);
        const date = [moment.getFullYear(), two(moment.getMonth() + 1), two(moment.getDate())].join('-');
        const clock = [moment.getHours(), moment.getMinutes(), moment.getSeconds()].map(two).join(':');
        time.textContent = `${date} ${clock}`;
        time.title = time.dateTime;
    }
    for (const zone of part.querySelectorAll('.zone')) {
        zone.textContent = Intl.DateTimeFormat().resolvedOptions().timeZone;
    }
}

async function refresh(main) {
    // Whoever reads elsewhere, selects text or moves by keyboard is not disturbed.
    if (document.hidden || !getSelection().isCollapsed || main.contains(document.activeElement)) {
        return;
    }
    try {
        const answer = await fetch(location.href);
        const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
        writeTimes(page);
        main.replaceChildren(...page.getElementById('main').childNodes);
        document.querySelector('footer').replaceWith(page.querySelector('footer'));
    } catch {
        // The page is away, and is asked again.
    }
}

writeTimes(document);
const main = document.getElementById('main');
if ('refresh' in main.dataset) {
    setInterval(refresh, INTERVAL, main);
}
