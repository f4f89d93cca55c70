// Uses the page as a person would, only by names and roles.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const { MODULES, PAGE, TOKEN, SERVER, SERVER_DIR, PICTURES } = process.env;
const require = createRequire(join(MODULES, 'x.js'));
const { chromium } = require('playwright-core');
const axe = await readFile(require.resolve('axe-core/axe.min.js'), 'utf8');

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
  ],
});
const context = await browser.newContext({ acceptDownloads: true, colorScheme: 'light' });
const page = await context.newPage();
page.setDefaultTimeout(30_000);
const faults = [];
page.on('pageerror', error => faults.push(error.message));
page.on('console', message => {
  // This script provokes rejected requests.
  const isRefusal = message.text().includes('the server responded with a status of 40');
  if (message.type() === 'error' && !isRefusal) faults.push(message.text());
});
page.on('request', request => {
  const isOwn = request.url().startsWith(PAGE) || request.url().startsWith('data:');
  if (!isOwn && !request.url().startsWith('blob:')) faults.push(`asks for ${request.url()}`);
});

const button = (name, of = page) => of.getByRole('button', { name, exact: true });
const card = n => page.locator('li.card').nth(n);

async function accessible(what) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(node => node.html)}`);
  assert.deepEqual(found, [], `${what} is not accessible`);
}

async function picture(name) {
  await page.screenshot({ path: join(PICTURES, name) });
}

async function saved(act) {
  const [download] = await Promise.all([page.waitForEvent('download'), act()]);
  return { name: download.suggestedFilename(), bytes: await readFile(await download.path()) };
}

// Signing in: a wrong token is rejected, and the right one is kept for the session only.
await page.goto(PAGE);
await accessible('the form');
await page.getByLabel('Token').fill('wrong');
await button('Sign in').click();
await page.getByRole('alert').filter({ hasText: /\S/ }).first().waitFor();
await page.getByLabel('Token').fill(TOKEN);
await page.keyboard.press('Enter');
await button('Back up now').waitFor();
assert.equal(await page.evaluate(() => localStorage.length), 0);

// A backup, started by keyboard and followed live.
await button('Back up now').focus();
await page.keyboard.press('Enter');
await card(0).getByRole('progressbar').waitFor();
await button('Cancel', card(0)).waitFor();
await page.waitForFunction(() => document.querySelector('li.card progress').value > 20);
await picture('server-page-progress.png');
await button('Verify', card(0)).waitFor();
const sha1 = (await card(0).textContent()).match(/[0-9a-f]{40}/)?.[0]
  ?? await card(0).locator('[title]').evaluateAll(
    all => all.map(one => one.title).find(title => /^[0-9a-f]{40}$/.test(title)));
assert.match(sha1 ?? '', /^[0-9a-f]{40}$/);

// A second one, then cancelled.
await button('Back up now').click();
await button('Cancel', card(0)).click();
await card(0).getByText('Failed').first().waitFor();
await button('Delete…', card(0)).click();
await button('Delete', page.getByRole('dialog')).click();
await page.waitForFunction(() => document.querySelectorAll('li.card').length === 1);

// Downloads of the whole archive and of one file.
const archive = await saved(() => button('Download', card(0)).click());
assert.match(archive.name, /^backup-.*\.tar\.gz$/);
assert.deepEqual([...archive.bytes.subarray(0, 2)], [0x1f, 0x8b]);
await button('Files', card(0)).click();
await page.getByLabel('Filter').fill('server.prop');
const one = page.getByRole('dialog').getByRole('button', { name: 'Download server.properties' });
const file = await saved(() => one.click());
assert.equal(file.bytes.toString(), 'motd=x\n');
await page.getByLabel('Filter').fill('');
await page.getByText('world/level.dat').first().waitFor();
await accessible('the list of files');
await picture('server-page-files.png');
await page.keyboard.press('Escape');

await button('Verify', card(0)).click();
await card(0).getByText('Whole').first().waitFor();

// The details have what the archive says about itself.
await card(0).getByText('Details').click();
await card(0).getByText(/^wingback \d/).waitFor();
assert.ok(await card(0).getByText(SERVER, { exact: true }).isVisible(), 'the label');
await accessible('the details');
await card(0).getByText('Details').click();

// A restore describes its effects and waits for confirmation.
await writeFile(join(SERVER_DIR, 'server.properties'), 'broken');
await writeFile(join(SERVER_DIR, 'new'), 'new');
await button('Restore…', card(0)).click();
const dialog = page.getByRole('dialog');
assert.match(await dialog.textContent(), /[Ss]top/);
assert.ok(await button('Restore', dialog).isDisabled());
await dialog.getByLabel(/is stopped/).check();
await dialog.getByLabel(/Delete everything else/).check();
await accessible('the warning');
await picture('server-page-restore.png');
await button('Restore', dialog).click();
await card(0).getByText(/^Restored/).first().waitFor();
assert.equal(await readFile(join(SERVER_DIR, 'server.properties'), 'utf8'), 'motd=x\n');
await assert.rejects(readFile(join(SERVER_DIR, 'new')));

// Dark and narrow; a reload does not change it.
await page.emulateMedia({ colorScheme: 'dark' });
await page.setViewportSize({ width: 400, height: 900 });
await page.reload();
await button('Verify', card(0)).waitFor();
await accessible('the dark page');
const isWide = () => document.documentElement.scrollWidth > document.documentElement.clientWidth;
assert.ok(!await page.evaluate(isWide), 'it scrolls sideways');
await picture('server-page-dark.png');

await button('Sign out').click();
await page.getByLabel('Token').waitFor();
assert.equal(await page.evaluate(() => sessionStorage.length), 0);
assert.deepEqual(faults, []);
await browser.close();
