// The page of a node: its servers, their backups, and what can be done with them.

import { fillCard, message, newCard, partialMessage, showProgress, verdict } from './card.js';
import {
  $, count, formatSize, formatTime, h, newUuid, number, sizeElement, timeElement,
} from './words.js';

const STORED = 'wingback-token';

class SignedOut extends Error {}

const busy = new WeakSet(); // buttons whose request is under way
let token = sessionStorage.getItem(STORED);
let servers = [];
let view = null; // the server that is shown; what comes in for another one is dropped
let subject = null; // the backup that the open dialog is about
const files = { page: 1, asked: 0, timer: 0 };

// What the page says: to a screen reader, as an alert, in a dialog

function announce(text) {
  const line = h('p', {}, text);
  $('announcer').append(line);
  setTimeout(() => line.remove(), 10_000);
}

function showAlert(text, kind) {
  $('alert-box').hidden = false;
  $('alert-box').dataset.kind = kind;
  if ($('alert').textContent !== text) $('alert').textContent = text;
}

function hideAlert(kind) {
  if (kind && $('alert-box').dataset.kind !== kind) return;
  $('alert-box').hidden = true;
  $('alert').textContent = '';
}

function dialogError(text) {
  const place = document.querySelector('dialog[open] [data-error]');
  if (place) place.textContent = text;
  return place !== null;
}

async function act(button, work) {
  if (busy.has(button) || button.ariaDisabled === 'true') return;
  busy.add(button);
  hideAlert('action');
  dialogError('');
  try {
    await work();
  } catch (error) {
    if (error instanceof SignedOut) return;
    if (!dialogError(error.message)) showAlert(error.message, 'action');
  } finally {
    busy.delete(button);
  }
}

// The node's API

async function api(method, path, body) {
  const used = token;
  const headers = { 'Authorization': `Bearer ${used}` };
  if (body) headers['Content-Type'] = 'application/json';
  let response;
  let text;
  try {
    const request = { method, headers, body: body && JSON.stringify(body), cache: 'no-store' };
    response = await fetch(`/api${path}`, request);
    text = await response.text();
  } catch {
    throw new Error('The node cannot be reached.');
  }
  if (response.status === 401) {
    if (used === token) refuseToken();
    throw new SignedOut();
  }
  const answer = parse(text);
  if (!response.ok) throw new Error(answer?.error ?? `The node answered ${response.status}.`);
  return answer;
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const serverPath = server => `/servers/${encodeURIComponent(server)}`;
const backupPath = backup => `${serverPath(backup.server)}/backup/${backup.uuid}`;

// Signing in and out

async function signIn() {
  const given = $('token').value.trim();
  $('sign-in-error').textContent = '';
  try {
    // A header takes no other characters, and fetch would call that a network error.
    if (!/^[\x21-\x7e]+$/.test(given)) throw new Error('A token has plain characters only.');
    token = given;
    await loadServers();
  } catch (error) {
    if (!(error instanceof SignedOut)) $('sign-in-error').textContent = error.message;
    return;
  }
  sessionStorage.setItem(STORED, token);
  $('token').value = '';
  showApp();
  $(view ? 'server-name' : 'servers-title').focus();
}

function refuseToken() {
  signOut(sessionStorage.getItem(STORED)
    ? 'The node no longer accepts this token. Sign in again.'
    : 'The node does not accept this token.');
}

function signOut(reason) {
  token = null;
  sessionStorage.removeItem(STORED);
  closeView();
  for (const dialog of document.querySelectorAll('dialog[open]')) dialog.close();
  $('servers').replaceChildren();
  hideAlert();
  for (const id of ['app', 'sign-out']) $(id).hidden = true;
  $('sign-in').hidden = false;
  $('sign-in-error').textContent = reason;
  $('token').select();
}

function showApp() {
  $('sign-in').hidden = true;
  for (const id of ['app', 'sign-out']) $(id).hidden = false;
  if (!location.hash && servers.length === 1) {
    history.replaceState(null, '', `#${servers[0].uuid}`);
  }
  route();
}

async function start() {
  if (!token) return signOut('');
  try {
    await loadServers();
    hideAlert();
    showApp();
  } catch (error) {
    if (error instanceof SignedOut) return;
    showAlert(`${error.message} Trying again…`, 'load');
    setTimeout(start, 3000);
  }
}

// Servers

async function loadServers() {
  ({ servers } = await api('GET', '/servers'));
  renderServers();
}

function renderServers() {
  const focused = document.activeElement.hash;
  $('servers').replaceChildren(...servers.map(serverItem));
  $('no-servers').hidden = servers.length > 0;
  for (const link of $('servers').querySelectorAll('a')) {
    if (focused && link.hash === focused) link.focus();
  }
}

function serverItem(server) {
  const link = h('a', { href: `#${server.uuid}` },
    h('span', { class: server.name ? 'name' : 'name mono' }, server.name ?? server.uuid),
    h('span', { class: 'count' }, number(server.backups),
      h('span', { class: 'unseen' }, server.backups === 1 ? ' backup' : ' backups')));
  if (server.uuid === view?.uuid) link.ariaCurrent = 'page';
  return h('li', {}, link);
}

function route() {
  closeView();
  const wanted = location.hash.slice(1);
  const server = servers.find(candidate => candidate.uuid === wanted);
  $('server').hidden = !server;
  $('choose').hidden = Boolean(server) || servers.length === 0;
  $('choose').textContent = wanted ? 'There is no such server on this node.'
    : 'Choose a server to see its backups.';
  document.title = server ? `${server.name ?? server.uuid} · wingback` : 'wingback';
  if (server) openView(server);
  renderServers();
}

function openView(server) {
  $('server-name').textContent = server.name ?? server.uuid;
  $('server-uuid').textContent = server.name ? server.uuid : '';
  showEmpty('Loading…');
  view = { ...server, backups: null, cards: new Map(), loading: false, again: false, timer: 0,
    socket: null, live: false, attempt: 0, retry: 0 };
  setLive(view, false, 'Connecting…');
  load(view);
  connect(view);
}

function closeView() {
  if (!view) return;
  const of = view;
  view = null;
  clearTimeout(of.timer);
  clearTimeout(of.retry);
  of.socket?.close();
  $('create-form').reset();
  $('backups').replaceChildren();
  clearMessages();
  hideAlert();
}

function showEmpty(text) {
  $('no-backups').hidden = !text;
  $('no-backups').textContent = text;
}

// The list of backups

async function load(of) {
  if (!of || of !== view) return;
  of.again = of.loading;
  if (of.loading) return;
  of.loading = true;
  clearTimeout(of.timer);
  let delay;
  try {
    do {
      of.again = false;
      const { backups } = await api('GET', `${serverPath(of.uuid)}/backups`);
      if (of !== view) return;
      if (of.backups) announceChanges(of.backups, backups);
      of.backups = backups;
      renderBackups(of);
    } while (of.again);
    hideAlert('load');
    delay = pollDelay(of);
  } catch (error) {
    if (of !== view) return;
    showAlert(error.message, 'load');
    delay = 5000;
  } finally {
    of.loading = false;
  }
  if (delay) of.timer = setTimeout(load, delay, of);
}

// The socket tells most things; places in the queue and the Panel's answer it does not.
function pollDelay({ backups, live }) {
  if (backups.some(backup => backup.state === 'queued')) return 2000;
  const moving = backup => backup.state === 'running' || backup.verifying || backup.restoring;
  if (backups.some(moving)) return live ? 10_000 : 2000;
  if (backups.some(backup => backup.panel === 'pending')) return 15_000;
  return live ? 0 : 30_000;
}

function announceChanges(before, after) {
  for (const backup of after) {
    const was = before.find(({ uuid }) => uuid === backup.uuid);
    if (was?.state !== backup.state) announce(`Backup: ${stateWords(backup)}`);
    if (backup.verified && was?.verified?.at !== backup.verified.at) {
      announce(verdict(backup.verified)[1]);
    }
  }
}

function stateWords({ state, position, size, error }) {
  if (state === 'queued' && position) return `queued, place ${position} in the queue`;
  if (state === 'complete' && size !== null) return `complete, ${formatSize(size)}`;
  if (state === 'failed' && error) return `failed, ${error}`;
  return state === 'running' ? 'started' : state;
}

function renderBackups(of) {
  for (const [uuid, { element }] of of.cards) {
    if (of.backups.some(backup => backup.uuid === uuid)) continue;
    const focused = element.contains(document.activeElement);
    element.remove();
    of.cards.delete(uuid);
    if (focused) $('backups-title').focus();
  }
  of.backups.forEach((backup, index) => {
    const element = renderCard(of, backup);
    const there = $('backups').children[index] ?? null;
    if (there !== element) $('backups').insertBefore(element, there);
  });
  showEmpty(of.backups.length ? '' : 'No backups yet.');
  const server = servers.find(({ uuid }) => uuid === of.uuid);
  if (!server || server.backups === of.backups.length) return;
  server.backups = of.backups.length;
  renderServers();
}

function renderCard(of, backup) {
  if (!of.cards.has(backup.uuid)) of.cards.set(backup.uuid, { element: newCard(backup) });
  const card = of.cards.get(backup.uuid);
  const signature = JSON.stringify({ ...backup, progress: null });
  if (card.signature !== signature) fillCard(card.element, backup);
  card.signature = signature;
  if (backup.progress) tellProgress(card.element, backup.progress);
  return card.element;
}

function tellProgress(card, progress) {
  const words = showProgress(card, progress);
  if (words) announce(words);
}

// What the buttons do

const ACTIONS = {
  async cancel(backup) {
    await api('POST', `${backupPath(backup)}/cancel`);
    await load(view);
  },
  async verify(backup) {
    await api('POST', `${backupPath(backup)}/verify`);
    announce('Verifying.');
    await load(view);
  },
  download(backup) {
    return download(backup, {});
  },
  files(backup) {
    openDialog('files', backup);
    $('files-form').reset();
    $('files-rows').replaceChildren();
    $('files-filter').focus();
    files.page = 1;
    return loadFiles();
  },
  restore(backup) {
    openDialog('restore', backup);
    $('restore-form').reset();
    allowRestore();
    const notes = backup.partial ? [partialMessage(backup)] : [];
    if (backup.verified?.whole === false) notes.push(['bad', 'This backup is damaged.']);
    $('restore-notes').replaceChildren(...notes.map(parts => message(...parts)));
  },
  delete(backup) {
    openDialog('delete', backup);
  },
};

async function create() {
  const body = { adapter: 'wings', uuid: newUuid(), ignore: $('ignore').value };
  await api('POST', `${serverPath(view.uuid)}/backup`, body);
  await load(view);
}

async function restore() {
  await api('POST', `${backupPath(subject)}/restore`, {
    adapter: subject.adapter,
    truncate_directory: $('restore-truncate').checked,
    download_url: '',
  });
  $('restore-dialog').close();
  announce('Restore started.');
  await load(view);
}

async function remove() {
  await api('DELETE', backupPath(subject));
  $('delete-dialog').close();
  announce('Backup deleted.');
  await load(view);
}

async function download(backup, what) {
  const { url } = await api('POST', `${backupPath(backup)}/link`, what);
  h('a', { href: url, download: '' }).click();
}

async function copy(button) {
  const code = button.parentElement.querySelector('code');
  const text = code.title || code.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = 'Copied';
    announce('Copied.');
    setTimeout(() => { button.textContent = 'Copy'; }, 2000);
  } catch {
    // Over plain HTTP there is no clipboard: the full text is shown and marked instead.
    code.textContent = text;
    getSelection().selectAllChildren(code);
    announce('Marked, for the keyboard to copy.');
  }
}

// Dialogs

function openDialog(name, backup) {
  subject = backup;
  const dialog = $(`${name}-dialog`);
  const about = [view.name ?? view.uuid, formatTime(backup.created_at)];
  if (backup.size !== null) about.push(formatSize(backup.size));
  dialog.querySelector('[data-about]').textContent = about.join(' · ');
  dialog.querySelector('[data-error]').textContent = '';
  dialog.showModal();
}

// The browser gives the focus back to the button, unless that has gone meanwhile.
function afterDialog() {
  clearTimeout(files.timer);
  if (!view || document.activeElement !== document.body) return;
  const card = view.cards.get(subject.uuid)?.element;
  (card?.querySelector('h4') ?? $('backups-title')).focus();
}

function allowRestore() {
  $('restore-form').querySelector('[type=submit]').disabled = !$('restore-confirm').checked;
}

async function loadFiles() {
  const asked = ++files.asked;
  const filter = $('files-filter').value;
  const query = new URLSearchParams({ filter, page: files.page, per_page: 100 });
  $('files-count').textContent = 'Loading…';
  try {
    const answer = await api('GET', `${backupPath(subject)}/files?${query}`);
    if (asked !== files.asked) return;
    dialogError('');
    renderFiles(answer);
  } catch (error) {
    if (asked !== files.asked || error instanceof SignedOut) return;
    $('files-count').textContent = '';
    dialogError(error.message);
  }
}

function renderFiles({ files: found, page, per_page: perPage, total }) {
  const pages = Math.max(1, Math.ceil(total / perPage));
  $('files-rows').replaceChildren(...found.map(fileRow));
  $('files-scroll').scrollTop = 0;
  $('files-count').textContent = total === 0 ? 'Nothing matches.'
    : `${number(total)} in all, page ${number(page)} of ${number(pages)}`;
  $('files-previous').ariaDisabled = String(page <= 1);
  $('files-next').ariaDisabled = String(page >= pages);
}

function fileRow({ path, kind, size, mode, modified_at: modified }) {
  const row = h('tr', {},
    h('td', { class: 'path' }, path),
    h('td', { class: 'number' }, kind === 'file' ? sizeElement(size) : kind),
    h('td', { class: 'extra' }, timeElement(modified)),
    h('td', { class: 'extra mono' }, mode),
    h('td', {}));
  if (kind === 'file') {
    row.lastChild.append(h('button', { 'type': 'button', 'class': 'small', 'data-file': path,
      'aria-label': `Download ${path}` }, 'Download'));
  }
  return row;
}

function turnPage({ target }, step) {
  if (target.ariaDisabled === 'true') return;
  files.page += step;
  loadFiles();
}

// The socket

async function connect(of) {
  try {
    const { token: jwt, socket } = await api('POST', `${serverPath(of.uuid)}/websocket`);
    if (of !== view) return;
    const url = new URL(socket, location.origin);
    url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
    of.socket = new WebSocket(url);
    of.socket.addEventListener('open', () => authenticate(of, jwt));
    of.socket.addEventListener('message', ({ data }) => hear(of, JSON.parse(data)));
    of.socket.addEventListener('close', () => reconnect(of));
  } catch {
    reconnect(of); // the list says what is wrong
  }
}

function authenticate(of, jwt) {
  of.socket.send(JSON.stringify({ event: 'auth', args: [jwt] }));
}

async function renew(of) {
  try {
    const { token: jwt } = await api('POST', `${serverPath(of.uuid)}/websocket`);
    authenticate(of, jwt);
  } catch {
    of.socket.close();
  }
}

function reconnect(of) {
  if (of !== view) return;
  const wait = Math.min(30, 2 ** of.attempt) * (750 + 500 * Math.random());
  of.attempt += 1;
  of.retry = setTimeout(connect, wait, of);
  const lost = of.live;
  setLive(of, false, 'Not connected, trying again…');
  if (lost) load(of);
}

function setLive(of, live, words) {
  of.live = live;
  $('live').textContent = words;
  $('live').classList.toggle('on', live);
}

function hear(of, { event, args = [] }) {
  if (of !== view) return;
  if (event === 'auth success') {
    of.attempt = 0;
    setLive(of, true, 'Live');
    load(of);
  } else if (event === 'token expiring' || event === 'token expired') {
    renew(of);
  } else if (event === 'jwt error') {
    of.socket.close();
  } else if (event === 'daemon message') {
    showMessage(args[0]);
  } else if (event === 'backup progress' && args[1]) {
    hearProgress(of, JSON.parse(args[1]));
  } else if (event.startsWith('backup ')) {
    if (event === 'backup restore completed') showMessage('The restore is complete.');
    load(of);
  }
}

function hearProgress(of, progress) {
  const backup = of.backups?.find(({ uuid }) => uuid === progress.uuid);
  if (backup?.state === 'running') tellProgress(of.cards.get(backup.uuid).element, progress);
  else load(of);
}

// What the daemon says in words may come often: it is shown at once and read out now and then.
function showMessage(text) {
  const list = $('daemon-messages');
  list.prepend(h('li', {}, h('time', {}, new Date().toLocaleTimeString()), text));
  while (list.children.length > 3) list.lastChild.remove();
  $('daemon').hidden = false;
  showMessage.timer ??= setTimeout(() => {
    showMessage.timer = null;
    if (list.firstChild) announce(list.firstChild.lastChild.textContent);
  }, 3000);
}

function clearMessages() {
  $('daemon-messages').replaceChildren();
  $('daemon').hidden = true;
}

// Wiring

const on = (target, type, work) => target.addEventListener(type, work);
const forms = { 'sign-in-form': signIn, 'create-form': create, 'restore-form': restore,
  'delete-form': remove, 'files-form': loadFiles };
for (const [id, work] of Object.entries(forms)) {
  on($(id), 'submit', event => {
    event.preventDefault();
    act(event.submitter ?? event.target, work);
  });
}
for (const dialog of document.querySelectorAll('dialog')) {
  on(dialog, 'close', afterDialog);
  on(dialog.querySelector('[data-close]'), 'click', () => dialog.close());
}
on($('sign-out'), 'click', () => signOut(''));
on($('alert-dismiss'), 'click', () => {
  hideAlert();
  $(view ? 'server-name' : 'servers-title').focus();
});
on($('daemon-clear'), 'click', () => {
  clearMessages();
  $('backups-title').focus();
});
on($('restore-confirm'), 'change', allowRestore);
on($('files-previous'), 'click', event => turnPage(event, -1));
on($('files-next'), 'click', event => turnPage(event, 1));
on($('files-filter'), 'input', () => {
  clearTimeout(files.timer);
  files.page = 1;
  files.timer = setTimeout(loadFiles, 250);
});
on($('files-rows'), 'click', ({ target }) => {
  const { file } = target.dataset;
  if (file) act(target, () => download(subject, { file }));
});
on($('backups'), 'click', ({ target }) => {
  const { action, copy: copies } = target.dataset;
  if (copies !== undefined) copy(target);
  if (!action) return;
  const { uuid } = target.closest('[data-uuid]').dataset;
  act(target, () => ACTIONS[action](view.backups.find(backup => backup.uuid === uuid)));
});
on(window, 'hashchange', () => {
  if (!token) return;
  route();
  if (view) $('server-name').focus();
});
on(document, 'visibilitychange', () => {
  if (document.hidden || !view) return;
  loadServers().catch(() => {}); // the list says what is wrong
  load(view);
});

start();
