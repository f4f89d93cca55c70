// The page of a node: signing in, the choice of a server, and the handlers of all elements.

import { ACTIONS, copy, create, download, readInfo, remove, restore } from './actions.js';
import { SignedOut, TOKEN_REFUSED } from './api.js';
import { load, showEmpty } from './backups.js';
import { afterDialog, allowRestore, files, loadFiles, turnPage } from './dialogs.js';
import { connect, setLive } from './live.js';
import { clearMessages, dialogError, hideAlert, showAlert } from './messages.js';
import { loadServers, renderServers } from './servers.js';
import { STORED, state } from './state.js';
import { $ } from './words.js';

const busy = new WeakSet(); // buttons whose request is running

async function runAction(button, work) {
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

async function signIn() {
  const given = $('token').value.trim();
  $('sign-in-error').textContent = '';
  try {
    // A header cannot contain other characters, and fetch would report a network error.
    if (!/^[\x21-\x7e]+$/.test(given)) {
      throw new Error('A token contains only ASCII characters without spaces.');
    }
    state.token = given;
    await loadServers();
  } catch (error) {
    if (!(error instanceof SignedOut)) $('sign-in-error').textContent = error.message;
    return;
  }
  sessionStorage.setItem(STORED, state.token);
  $('token').value = '';
  showApp();
  $(state.view ? 'server-name' : 'servers-title').focus();
}

function refuseToken() {
  signOut(sessionStorage.getItem(STORED)
    ? 'The node no longer accepts this token. Sign in again.'
    : 'The node does not accept this token.');
}

function signOut(reason) {
  state.token = null;
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
  if (!location.hash && state.servers.length === 1) {
    history.replaceState(null, '', `#${state.servers[0].uuid}`);
  }
  route();
}

async function start() {
  if (!state.token) return signOut('');
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

function route() {
  closeView();
  const wanted = location.hash.slice(1);
  const server = state.servers.find(candidate => candidate.uuid === wanted);
  $('server').hidden = !server;
  $('choose').hidden = Boolean(server) || state.servers.length === 0;
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
  state.view = { ...server, backups: null, cards: new Map(), loading: false, again: false, timer: 0,
    socket: null, live: false, attempt: 0, retry: 0 };
  setLive(state.view, false, 'Connecting…');
  load(state.view);
  connect(state.view);
}

function closeView() {
  if (!state.view) return;
  const of = state.view;
  state.view = null;
  clearTimeout(of.timer);
  clearTimeout(of.retry);
  of.socket?.close();
  $('create-form').reset();
  $('backups').replaceChildren();
  clearMessages();
  hideAlert();
}

const on = (target, type, work) => target.addEventListener(type, work);
const forms = { 'sign-in-form': signIn, 'create-form': create, 'restore-form': restore,
  'delete-form': remove, 'files-form': loadFiles };
for (const [id, work] of Object.entries(forms)) {
  on($(id), 'submit', event => {
    event.preventDefault();
    runAction(event.submitter ?? event.target, work);
  });
}
for (const dialog of document.querySelectorAll('dialog')) {
  on(dialog, 'close', afterDialog);
  on(dialog.querySelector('[data-close]'), 'click', () => dialog.close());
}
on($('sign-out'), 'click', () => signOut(''));
on(window, TOKEN_REFUSED, refuseToken);
on($('alert-dismiss'), 'click', () => {
  hideAlert();
  $(state.view ? 'server-name' : 'servers-title').focus();
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
  if (file) runAction(target, () => download(state.subject, { file }));
});
on($('backups'), 'click', ({ target }) => {
  const { action, copy: copies } = target.dataset;
  if (copies !== undefined) copy(target);
  if (!action) return;
  const { uuid } = target.closest('[data-uuid]').dataset;
  runAction(target, () => ACTIONS[action](state.view.backups.find(backup => backup.uuid === uuid)));
});
// This event does not bubble.
$('backups').addEventListener('toggle', ({ target }) => {
  const card = target.closest('[data-uuid]');
  const backup = state.view?.backups.find(({ uuid }) => uuid === card.dataset.uuid);
  if (target.open && backup) runAction(target, () => readInfo(card, backup));
}, true);
on(window, 'hashchange', () => {
  if (!state.token) return;
  route();
  if (state.view) $('server-name').focus();
});
on(document, 'visibilitychange', () => {
  if (document.hidden || !state.view) return;
  loadServers().catch(() => {}); // `load` shows the error
  load(state.view);
});

start();
