// Looks at the console's pages in Chromium, and prints a line of JSON for each check: its name, how long it took, and
// what is wrong. Its argument is the tour of pages_test.go, as JSON.
import {readFileSync, statSync} from 'node:fs';
import {createRequire} from 'node:module';
import {join} from 'node:path';
import {chromium} from 'playwright-core';

const {chromium: executablePath, base, storage, output, attempts, markup, shots} = JSON.parse(process.argv[2]);
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const args = process.getuid?.() === 0 ? ['--no-sandbox'] : []; // Chromium's sandbox refuses root
const browser = await chromium.launch({executablePath, args});

const at = (name, end = '') => `/attempts/${attempts[name]}${end}`;

// The pages that each check of all pages looks at. Those of attempts that have ended do not change.
const ended = ['/?state=rejected', '/?state=timed_out', at('hello'), at('hello', '/job'), at('hello', '/log'),
  at('hello', '/outputs'), at('hello', '/curves'), at('fails'), at('rejected-many'), at('wrong'), at('tune', '/trials'), at('tune', '/curves')];
const going = ['/', '/installation', at('incomplete'), at('ends'), at('ends', '/job'), at('ends', '/log'),
  at('ends', '/outputs'), at('ends', '/curves'), '/attempts/nothing'];

// open returns a page of a new context that reports what goes wrong on it.
async function open(faults, options = {}) {
  const context = await browser.newContext({viewport: {width: 1440, height: 900}, ...options});
  context.setDefaultTimeout(30000);
  await context.addInitScript(() => addEventListener('securitypolicyviolation',
    (e) => console.error(`policy: ${e.violatedDirective} ${e.blockedURI} ${e.sample}`)));
  const page = await context.newPage();
  page.on('pageerror', (e) => faults.push(`${page.url()}: ${e.message}`));
  page.on('dialog', (d) => { faults.push(`${page.url()}: a dialog: ${d.message()}`); d.dismiss(); });
  page.on('console', (m) => {
    const expected = page.url().endsWith('/attempts/nothing') && /status of 40[04]/.test(m.text());
    if (m.type() === 'error' && !expected) faults.push(`${page.url()}: ${m.text()}`);
  });
  return page;
}

async function check(name, run) {
  const faults = [], began = Date.now();
  try {
    await run(faults);
  } catch (e) {
    faults.push(String(e.stack ?? e));
  }
  console.log(JSON.stringify({check: name, seconds: (Date.now() - began) / 1000, faults}));
}

// each calls do for each item, a few at once.
async function each(items, most, run) {
  const left = [...items];
  await Promise.all(Array.from({length: most}, async () => {
    while (left.length) await run(left.shift());
  }));
}

// links follows links from the first page, and reports pages that they don't lead to.
async function links(faults) {
  const page = await open(faults);
  const seen = new Set(['/']), todo = ['/'];
  while (todo.length) {
    const path = todo.shift();
    const answer = await page.goto(base + path, {waitUntil: 'domcontentloaded'});
    if (!answer.ok()) faults.push(`${path}: status ${answer.status()}`);
    const found = await page.$$eval('a[href]:not([download])', (all) => all.map((a) => a.href));
    for (const href of found) {
      const url = new URL(href);
      if (url.origin !== new URL(base).origin || url.search || seen.has(url.pathname)) continue;
      seen.add(url.pathname);
      todo.push(url.pathname);
    }
  }
  for (const path of [...ended, ...going]) {
    if (!path.includes('?') && !seen.has(path) && path !== '/attempts/nothing') faults.push(`no link leads to ${path}`);
  }
  await page.context().close();
}

// care looks at each page in both schemes with axe, and at its width in windows of many sizes.
async function care(faults) {
  const todo = [...ended, ...going].flatMap((path) => ['light', 'dark'].map((colorScheme) => [path, colorScheme]));
  await each(todo, 3, async ([path, colorScheme]) => {
    const page = await open(faults, {colorScheme, bypassCSP: true, reducedMotion: 'reduce'});
    await page.goto(base + path, {waitUntil: 'load'});
    await page.evaluate(axe);
    for (const width of colorScheme === 'light' ? [360, 400, 700, 1024, 1440, 2560] : [400, 1440]) {
      await page.setViewportSize({width, height: 900});
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      if (wide > 0) faults.push(`${path} at ${width}: ${wide} pixels too wide`);
      const unsaid = await page.$$eval('.wide', (all) => all.filter((e) => e.scrollWidth > e.clientWidth &&
        !getComputedStyle(e).backgroundAttachment.includes('local')).map((e) => e.ariaLabel));
      if (unsaid.length) faults.push(`${path} at ${width}: nothing says that these scroll: ${unsaid}`);
      if (width !== 400 && width !== 1440) continue;
      const heights = await page.evaluate(() => ['live', 'can’t be read since 12:30', 'not connected since 12:30'].map((text) => {
        const light = document.getElementById('stream');
        if (light) light.textContent = text;
        return document.querySelector('.top').offsetHeight;
      }));
      if (new Set(heights).size > 1) faults.push(`${path} at ${width}: the header has ${heights} pixels`);
      // The schemes differ in their colours only.
      const rules = colorScheme === 'dark' ? {runOnly: ['color-contrast']} : {};
      const {violations} = await page.evaluate((r) => globalThis.axe.run({resultTypes: ['violations'], ...r}), rules);
      for (const v of violations) {
        faults.push(`${path} at ${width}, ${colorScheme}: axe: ${v.id}: ${v.nodes[0].html.slice(0, 200)}: ` +
          `${v.nodes[0].failureSummary}`);
      }
    }
    await page.context().close();
  });
}

// facts returns the text of a page, with the exact times and without what only a script draws.
function facts() {
  const main = document.querySelector('main').cloneNode(true);
  for (const t of main.querySelectorAll('time')) t.textContent = t.dateTime;
  for (const p of main.querySelectorAll('.plot')) p.remove();
  return main.textContent.replace(/\s+/g, ' ').trim();
}

// scriptless compares what pages say with and without JavaScript.
async function scriptless(faults) {
  const plain = await open(faults, {javaScriptEnabled: false}), usual = await open(faults);
  for (const path of ended) {
    await Promise.all([plain, usual].map((page) => page.goto(base + path, {waitUntil: 'load'})));
    const [without, withScript] = [await plain.evaluate(facts), await usual.evaluate(facts)];
    if (without !== withScript || without.length < 20) faults.push(`${path}:\n${without}\nwith JavaScript:\n${withScript}`);
  }
  await Promise.all([plain, usual].map((page) => page.goto(base + at('ends', '/curves'), {waitUntil: 'load'})));
  if (await plain.locator('.spark path').count() === 0) faults.push('the curves are not drawn without JavaScript');
  await usual.locator('.plot canvas').first().waitFor();
  await Promise.all([plain, usual].map((page) => page.context().close()));
}

// keyboard presses Tab from the beginning of a page to its end.
async function keyboard(faults) {
  const page = await open(faults);
  for (const path of ['/', at('rejected-many'), at('hello')]) {
    await page.goto(base + path, {waitUntil: 'load'});
    await page.keyboard.press('Tab');
    if (!await page.evaluate(() => document.activeElement.matches('.skip'))) faults.push(`${path}: Tab begins elsewhere`);
    await page.keyboard.press('Enter');
    await page.waitForURL(/#main$/).catch(() => faults.push(`${path}: the first link does not skip to the content`));
    await page.goto('about:blank');
    await page.goto(base + path, {waitUntil: 'load'});
    // A page that changes has other elements of the same names.
    await page.evaluate(() => { globalThis.nameOf = (e) => e.href || e.name || e.textContent; });
    const unreached = await page.evaluateHandle(() => new Set(
      [...document.querySelectorAll('a[href],button,input:not([type=hidden]),select,summary')]
        .filter((e) => e.checkVisibility()).map(globalThis.nameOf)));
    for (let i = 0; i < 400; i++) {
      await page.keyboard.press('Tab');
      const [left, outline] = await unreached.evaluate((all) => {
        all.delete(globalThis.nameOf(document.activeElement));
        return [all.size, document.activeElement === document.body || getComputedStyle(document.activeElement).outlineStyle];
      });
      if (outline === 'none') faults.push(`${path}: what has the focus does not show it`);
      if (left === 0) break;
    }
    for (const name of await unreached.evaluate((all) => [...all])) faults.push(`${path}: Tab does not reach ${name}`);
  }
  await page.context().close();
}

// hostile looks for elements and scripts that come from drops, and for the characters that they consist of.
async function hostile(faults) {
  const page = await open(faults);
  const shown = {
    [at('ends')]: [markup, '<U+202E>', 'branch "><script>owned=1</script>', '<i>0</i>'],
    [at('wrong')]: [markup, '<b>HUGE</b>', String.raw`"/tmp/\x1b[31m\u202e"`],
    [at('ends', '/log')]: [markup, '␛[31mred␛[0m', '<U+202E>gnol drawkcab<U+202C>', '<U+200B>', '␀', 'xxxx', 'beat'],
    [at('ends', '/curves')]: [markup, '<U+202E>accuracy', 'not finite', '<b>bold<b>'],
    [at('ends', '/outputs')]: ['<svg onload="window.owned=1">.txt', '<b>bold<b>'],
    [at('ends', '/job')]: ['<b onclick="x">'],
    '/': [markup, '<U+202E>'],
    [`/?correlation=${encodeURIComponent(markup)}`]: ['No attempt is like that'],
    [`/attempts/${encodeURIComponent(markup)}`]: ['400'],
    [`/?since=${encodeURIComponent(markup)}`]: ['is not a time', '<img src=x'],
  };
  for (const [path, texts] of Object.entries(shown)) {
    const answer = await page.goto(base + path, {waitUntil: 'load'});
    if (answer.status() >= 400) faults.splice(0, faults.length, ...faults.filter((f) => !/status of 40[04]/.test(f)));
    if (path.endsWith('/curves')) await page.locator('.plot canvas').first().waitFor();
    const all = await page.locator('body').textContent();
    for (const text of texts) {
      if (!all.includes(text)) faults.push(`${path}: ${text} is not there`);
    }
    const alien = await page.evaluate(() => [
      ...[...document.querySelectorAll('script')].filter((e) => !e.src.startsWith(`${location.origin}/static/`)),
      ...document.querySelectorAll('main img, main b b, main i, [onerror], [onload], [onclick], iframe, object, style'),
      ...document.querySelectorAll('a[href^="javascript:"], a[href^="data:"]'),
    ].map((e) => e.outerHTML.slice(0, 120)));
    for (const html of alien) faults.push(`${path}: an element that is not the console's: ${html}`);
    if (await page.evaluate(() => globalThis.owned)) faults.push(`${path}: a script ran`);
    if (/[\u202a-\u202e\u2066-\u2069\u200b\u0000-\u0008\u001b]/.test(all)) faults.push(`${path}: characters that steer`);
  }
  await page.context().close();
}

// times reads a page in another time zone.
async function times(faults) {
  const page = await open(faults, {timezoneId: 'Asia/Kolkata', locale: 'en-GB'});
  await page.goto(base + at('hello'), {waitUntil: 'load'});
  const t = page.locator('main time:not([data-words])').first();
  const [title, text] = [await t.getAttribute('title'), await t.textContent()];
  const exact = new Date(title.replace(' UTC', 'Z').replace(' ', 'T'));
  const want = new Intl.DateTimeFormat('en-GB', {timeZone: 'Asia/Kolkata', hour: '2-digit', minute: '2-digit',
    second: '2-digit', hour12: false}).format(exact);
  if (!/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$/.test(title) || !text.includes(want)) {
    faults.push(`${title} is shown as ${text}, want ${want}`);
  }
  await page.context().close();
}

// acts cancels a job and runs another again, and looks whether pages that are open follow.
async function acts(faults) {
  const [page, watcher, log, again] = await Promise.all([1, 2, 3, 4].map(() => open(faults)));
  const own = (p) => p.evaluate(() => { globalThis.same = true; });
  const same = (p) => p.evaluate(() => globalThis.same === true);
  await Promise.all([
    (async () => { // it ends by itself
      await watcher.goto(base + at('ends'), {waitUntil: 'load'});
      await log.goto(base + at('ends', '/log'), {waitUntil: 'load'});
      await Promise.all([own(watcher), own(log)]);
      await log.locator('#stream.on').waitFor();
      const rows = await log.locator('#log .row').count();
      await log.waitForFunction((n) => document.querySelectorAll('#log .row').length > n + 2, rows);
      const ids = await log.$$eval('#log .row[id]', (all) => all.map((e) => e.id));
      const twice = ids.filter((id, i) => ids.indexOf(id) !== i);
      if (twice.length) faults.push(`lines of the log were shown twice: ${twice}`);
      const late = await log.evaluate(() => {
        const live = document.getElementById('live'), rows = [...document.querySelectorAll('#log .row[id]')];
        const [before, last] = rows.slice(-2), first = 'L0001-01-01T00:00:00Z!a';
        const row = (id) => `<div class="row" id="${id}"><time datetime="${id.slice(1).split('!')[0]}"></time></div>`;
        live.dispatchEvent(new CustomEvent('jobdrop:lines', {detail: {data: row(first) + last.outerHTML + row(`${before.id}0`)}}));
        const own = document.getElementById(`${before.id}0`), begins = document.getElementById(first);
        const told = [own?.previousElementSibling === before && own.nextElementSibling === last, last.nextElementSibling?.id !== last.id,
          Boolean(begins) !== Boolean(live.querySelector('a[rel=prev]')),
          Boolean(rows[0].dataset.day) && begins?.dataset.day !== rows[0].dataset.day && !last.dataset.day];
        own?.remove();
        begins?.remove();
        return told.join();
      });
      if (late !== 'true,true,true,true') faults.push(`late lines stand at their place, once, on their page, with days: ${late}`);
      const name = encodeURIComponent('ends/stop');
      await fetch(`${storage}/upload/storage/v1/b/${output}/o?uploadType=media&name=${name}`, {method: 'POST', body: 'x'});
      await watcher.locator('h1 .state', {hasText: 'succeeded'}).waitFor();
      await log.locator('#stream', {hasText: 'ended'}).waitFor();
      await log.locator('h1 .state', {hasText: 'succeeded'}).waitFor();
      if (!await same(watcher) || !await same(log)) faults.push('a page was loaded again');
    })(),
    (async () => {
      await page.goto(base + at('cancelled'), {waitUntil: 'load'});
      await page.locator('form[action$="/cancel"] input[name=reason]').fill('no longer needed & <b>done</b>');
      await page.locator('form[action$="/cancel"] button').click();
      await page.waitForURL(/asked=console-/);
      await own(page);
      await page.locator('#asked', {hasText: 'Your request was'}).waitFor();
      await page.locator('h1 .state', {hasText: 'cancelled'}).waitFor();
      if (!(await page.locator('main').textContent()).includes('no longer needed & <b>done</b>')) faults.push('the reason is not shown');
      await page.locator('form[action$="/rerun"]').waitFor();
      if (await page.locator('form[action$="/cancel"]').count()) faults.push('what is cancelled can be cancelled');
      if (!await same(page)) faults.push('the page was loaded again');
    })(),
    (async () => {
      await again.goto(base + at('hello'), {waitUntil: 'load'});
      await again.locator('form[action$="/rerun"] input[name=reason]').fill('once more');
      await again.locator('form[action$="/rerun"] button').click();
      await again.locator('#asked', {hasText: 'Your request was'}).waitFor();
      await again.locator('#asked a', {hasText: 'the new attempt'}).click();
      await again.locator('dt', {hasText: 'Runs again'}).waitFor();
      if (again.url().includes(attempts.hello)) faults.push('the link leads to the attempt that was run again');
    })(),
  ]);
  await Promise.all([page, watcher, log, again].map((p) => p.context().close()));
}

// steer opens a page whose stream is the check's: tell sends an event of it.
async function steer(faults, path, options, before = () => {}) {
  const page = await open(faults, options);
  await page.addInitScript(before);
  await page.addInitScript(() => {
    globalThis.EventSource = class extends EventTarget {
      static CLOSED = 2;
      constructor() { super(); this.readyState = 1; globalThis.stream = this; queueMicrotask(() => this.onopen()); }
      close() { this.readyState = 2; }
    };
  });
  await page.goto(base + path, {waitUntil: 'load'});
  const tell = (kind, data, lastEventId) => page.evaluate(([kind, data, lastEventId]) => {
    const e = new MessageEvent(kind, {data, lastEventId});
    if (kind === 'message') globalThis.stream.onmessage(e);
    else if (kind === 'error') globalThis.stream.onerror(e);
    else globalThis.stream.dispatchEvent(e);
  }, [kind, data, lastEventId]);
  return [page, tell];
}

// wanting returns what reports that something is not as it should be.
const wanting = (faults) => (what, got, want) => {
  if (JSON.stringify(got) !== JSON.stringify(want)) faults.push(`${what}: ${JSON.stringify(got)}, want ${JSON.stringify(want)}`);
};

// news tells a page what its stream would, and looks whether it says how old it is and keeps what the viewer did.
async function news(faults) {
  const want = wanting(faults);
  const [page, tell] = await steer(faults, '/', {timezoneId: 'Asia/Kolkata', locale: 'en-GB'});
  const says = () => page.$eval('#stream', (e) => [e.textContent, e.className,
    getComputedStyle(e).color === getComputedStyle(document.querySelector('.who')).color]);
  await tell('stale', '2026-11-30T07:00:09Z');
  want('the storage is down', await says(), ['can’t be read since 12:30', 'off', false]);
  await tell('fresh', '2026-11-30T07:01:17Z');
  want('the storage is there again', await says(), ['live', 'on', true]);
  want('as of', await page.$eval('footer time', (e) => [e.title, e.textContent]), ['2026-11-30 07:01:17 UTC', '30/11/2026, 12:31:17']);
  await tell('error');
  want('the stream ends in its time', await says(), ['live', 'on', true]);
  await page.locator('#stream.off', {hasText: /^not connected since \d\d:\d\d$/}).waitFor();

  // A drop comes: the rows and what has the focus are the same ones, and what is marked and scrolled stays so.
  await page.setViewportSize({width: 710, height: 900});
  const html = await page.$eval('#live', (e) => e.innerHTML.replace('data-label="dropped">', `$&${'x'.repeat(200)}`));
  await tell('message', html, '1');
  const second = page.locator('#live tbody tr a').nth(1);
  const href = await second.getAttribute('href');
  await second.focus();
  const scrolled = await page.evaluate(() => {
    const box = document.querySelector('#live .wide');
    box.scrollLeft = 40;
    getSelection().selectAllChildren(document.activeElement);
    globalThis.row = document.activeElement.closest('tr');
    return box.scrollLeft;
  });
  const row = html.match(/<tr data-key[^]*?<\/tr>/)[0];
  const other = row.replace(/data-key="[^"]*"/, 'data-key="x"').replace(/href="[^"]*"/, 'href="/attempts/x"');
  await tell('message', html.replace(row, other + row), '2');
  want('a drop comes', await page.evaluate(() => [
    document.activeElement.getAttribute('href'), document.querySelector('#live tbody').rows[2] === globalThis.row,
    String(getSelection()) === document.activeElement.textContent, document.querySelector('#live .wide').scrollLeft,
    document.querySelector('#live tbody a').getAttribute('href'),
  ]), [href, true, true, scrolled, '/attempts/x']);
  if (!scrolled) faults.push('nothing could be scrolled');
  await tell('message', html.replace(new RegExp(`<tr data-key="${href.split('/').pop()}"[^]*?</tr>`), ''), '3');
  want('the drop goes', await page.evaluate((href) => [document.activeElement.id, !document.querySelector(`#live a[href="${href}"]`)],
    href), ['live', true]);
  await page.context().close();

  const [form, change] = await steer(faults, at('ends'));
  await form.locator('form[action$="/cancel"] input').fill('because');
  const now = await form.$eval('#live', (e) => e.innerHTML);
  await change('message', now.replace(/(<p class="because[^>]*>)/, '$1Meanwhile '), '2');
  want('what is typed', await form.evaluate(() => [document.activeElement.value, document.querySelector('.because').textContent
    .startsWith('Meanwhile')]), ['because', true]);
  await form.context().close();

  // What a filter shows is what the page shows, also on the way back.
  const back = await open(faults);
  await back.goto(base + '/?state=failed', {waitUntil: 'load'});
  await back.locator('select[name=state]').selectOption('rejected');
  await back.locator('.filter button').click();
  await back.waitForURL(/state=rejected/);
  await back.goBack({waitUntil: 'load'});
  want('the filter on the way back', [new URL(back.url()).search, await back.locator('select[name=state]').inputValue()],
    ['?state=failed', 'failed']);
  await back.context().close();
}

// charts tells a page with curves of new ones, and looks whether the charts are readable and keep what the viewer did.
async function charts(faults) {
  const want = wanting(faults);
  const [page, tell] = await steer(faults, at('ends', '/curves'), {}, () => {
    globalThis.texts = [];
    const fill = CanvasRenderingContext2D.prototype.fillText;
    CanvasRenderingContext2D.prototype.fillText = function (text, x, y, ...rest) {
      if (this.textAlign === 'right') globalThis.texts.push([text, x - this.measureText(text).width]);
      return fill.call(this, text, x, y, ...rest);
    };
  });
  await page.locator('.plot canvas').first().waitFor();
  const chart = (tag, n, scale) => ({tag, runs: ['a', 'b'].map((run, i) => ({
    run, steps: Array.from({length: n}, (_, k) => k), values: Array.from({length: n}, (_, k) => scale * (1 + (k + i) % 4)),
  }))});
  let all = [], held = [], hold = false;
  await page.route('**/curves.json', async (route) => {
    const charts = all;
    if (hold) await new Promise((go) => { held.push(go); });
    await route.fulfill({json: {charts}}).catch(() => {}); // one that the page gave up
  });
  const html = await page.$eval('#live', (e) => e.innerHTML);
  const section = html.match(/<section class="chart"[^]*?<\/section>/)[0];
  const row = '<table><tbody><tr><td><svg class="spark"><path d="M0 0L1 1"></path></svg></td></tr></tbody></table>';
  const part = (...tags) => html.slice(0, html.indexOf(section)) + tags.map((tag, i) =>
    `<section class="chart" data-key="${tag}" aria-labelledby="chart${i}"><h2 id="chart${i}">${tag}</h2>` +
    `<div class="plot" data-key="${tag}" hidden></div><div class="wide">${row}</div></section>`).join('') + '</div>';
  const drawn = (n) => page.waitForFunction((n) => document.querySelectorAll('.plot canvas').length === n, n);

  // Small and large values have ticks that differ, and are not cut.
  for (const scale of [1e-7, 3e14, 1e-12, 1]) {
    all = [chart('m', 10, scale)];
    await page.evaluate(() => { globalThis.texts = []; });
    await tell('message', part('m'), `scale ${scale}`);
    await drawn(1);
    await page.waitForFunction((v) => globalThis.texts.some(([text]) => Number(text) > v && Number(text) <= 4 * v), scale, {timeout: 5000})
      .catch(async () => faults.push(`ticks of ${scale}: ${JSON.stringify(await page.evaluate(() => globalThis.texts))}`));
    const seen = await page.evaluate(() => globalThis.texts);
    const cut = seen.filter(([, left]) => left < 0), last = seen.slice(-4).map(([text]) => text);
    if (cut.length || new Set(last).size < last.length) faults.push(`ticks of ${scale}: ${JSON.stringify(seen)}`);
  }

  // A series that is switched off, by the keyboard, and the values at the pointer stay; a new tag takes nobody's place.
  all = [chart('m', 10, 1)];
  await page.locator('.plot .u-label').nth(2).focus();
  await page.keyboard.press('Enter');
  await page.locator('.plot .u-over').hover();
  const state = () => page.$eval('.chart[data-key=m]', (e) => [e.querySelector('h2').textContent,
    [...e.querySelectorAll('.u-series')].map((s) => s.classList.contains('u-off')),
    [...e.querySelectorAll('.u-label')].map((l) => l.getAttribute('aria-pressed')),
    e.querySelectorAll('.u-value')[1].textContent.trim() !== '–', e.querySelectorAll('.plot canvas').length]);
  const kept = ['m', [false, false, true], [null, 'true', 'false'], true, 1];
  want('a series is switched off', await state(), kept);
  const value = () => page.$eval('.chart[data-key=m]', (e) => Number(e.querySelectorAll('.u-value')[1].textContent));
  const once = await value();
  all = [chart('m', 10, 2)];
  await tell('message', part('m'), 'twice');
  await page.waitForFunction((v) => Number(document.querySelectorAll('.u-value')[1].textContent) !== v, once);
  want('other values come', [await state(), await value()], [kept, 2 * once]);
  await page.mouse.move(0, 0);
  kept[3] = false;
  hold = true;
  const gone = page.waitForEvent('requestfailed', {timeout: 5000});
  all = [chart('late', 10, 5)];
  await tell('message', part('late', 'm'), 'late');
  await tell('message', part('m'), 'again'); // meanwhile the page has another state
  await gone;
  all = [chart('a', 12, 7), chart('m', 12, 1), chart('z', 1, 1)];
  await tell('message', part('a', 'm', 'z'), 'more');
  want('meanwhile', [await state(), await page.locator('.plot:not([hidden])').count()], [kept, 3]);
  hold = false;
  held.forEach((go) => go());
  await drawn(2);
  want('the headings', await page.$$eval('.plot:has(canvas)', (a) => a.map((e) => e.parentElement.querySelector('h2').textContent)),
    ['a', 'm']);
  want('what the viewer did', await state(), kept);
  await page.context().close();
}

// reading tells a page with a log of more lines than it shows, while somebody reads its beginning.
async function reading(faults) {
  const want = wanting(faults);
  const [page, tell] = await steer(faults, at('ends', '/log'));
  await page.$eval('#log', (e) => e.replaceChildren());
  const rows = (from, n) => Array.from({length: n}, (_, i) => String(from + i).padStart(6, '0')).map((id) =>
    `<div class="row" id="L2026-11-30T00:00:00.${id}Z!i"><a class="at" href="#x">x</a><span class="t">line ${id}</span></div>`).join('');
  const shown = () => page.evaluate(() => {
    const box = document.getElementById('log'), newer = document.querySelector('.newer');
    return [box.childElementCount, box.firstElementChild.textContent, box.lastElementChild.textContent, newer.hidden || newer.textContent];
  });
  await tell('lines', rows(0, 4900), '1');
  want('at the end', await page.$eval('#log', (e) => e.scrollHeight - e.scrollTop - e.clientHeight < 40), true);
  await page.$eval('#log', (e) => { e.scrollTop = 0; });
  await tell('lines', rows(4900, 200), '2');
  await tell('lines', rows(5100, 5000), '3');
  want('while somebody reads', await shown(), [4900, 'xline 000000', 'xline 004899', '5200 newer lines']);
  await page.locator('.newer').click();
  want('then', await shown(), [5000, 'xline 005100', 'xline 010099', true]);
  await tell('lines', rows(10100, 10), '4');
  want('who is at the end', await shown(), [5000, 'xline 005110', 'xline 010109', true]);

  // Tab stops at one line only, and the arrows lead to others.
  want('stops', await page.$$eval('#log a:not([tabindex="-1"])', (all) => all.length), 1);
  await page.locator('#log a[tabindex="0"]').focus();
  await page.keyboard.press('ArrowUp');
  want('the line before', await page.evaluate(() => [document.activeElement.parentElement.textContent, document.activeElement.tabIndex]),
    ['xline 010098', 0]);
  await page.keyboard.press('Tab');
  want('behind the log', await page.evaluate(() => document.getElementById('log').contains(document.activeElement)), false);
  await page.context().close();
}

// screenshots writes the pictures of docs/console.md, if the tour has a folder for them.
async function screenshots(faults) {
  if (!shots) return;
  const wide = {colorScheme: 'light'};
  const narrow = {colorScheme: 'dark', viewport: {width: 400, height: 860}};
  const all = [
    ['drops', '/?folder=teams/nlp/', {...wide, viewport: {width: 1440, height: 560}}],
    ['rejected', at('rejected-many'), wide],
    ['running', at('cancelled'), {...wide, viewport: {width: 1440, height: 760}}],
    ['job', at('tune', '/job'), {...wide, viewport: {width: 1440, height: 760}}],
    ['log', at('fails', '/log?replica=master-replica-0'), {...wide, viewport: {width: 1440, height: 520}}],
    ['outputs', at('hello', '/outputs'), {...wide, viewport: {width: 1440, height: 560}}],
    ['curves', at('hello', '/curves'), {...wide, viewport: {width: 1440, height: 700}}],
    ['trials', at('tune', '/trials'), {...wide, viewport: {width: 1440, height: 760}}],
    ['installation', '/installation', {...wide, viewport: {width: 1440, height: 700}}],
    ['drops-narrow', '/?folder=teams/nlp/', narrow],
    ['rejected-narrow', at('rejected-many'), narrow],
    ['curves-narrow', at('hello', '/curves'), narrow],
  ];
  await each(all, 3, async ([name, path, options]) => {
    const page = await open(faults, options);
    await page.goto(base + path, {waitUntil: 'load'});
    if (path.endsWith('/curves')) await page.locator('.plot canvas').first().waitFor();
    await page.evaluate(() => document.fonts.ready);
    await page.screenshot({path: join(shots, `${name}.png`), animations: 'disabled'});
    const {size} = statSync(join(shots, `${name}.png`));
    if (size >= 120 << 10) faults.push(`${name}.png has ${size} bytes, want fewer than ${120 << 10}`);
    await page.context().close();
  });
}

try {
  await Promise.all([check('links', links), check('times', times)]);
  await Promise.all([check('without JavaScript', scriptless), check('keyboard', keyboard), check('hostile', hostile)]);
  await check('care', care);
  await Promise.all([check('news', news), check('charts', charts), check('reading', reading)]);
  await check('screenshots', screenshots);
  await check('acts', acts);
} finally {
  await browser.close();
}
