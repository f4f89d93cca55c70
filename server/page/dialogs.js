// The dialogs of a backup: its files, its restore, its deletion.

import { SignedOut, api, backupPath } from './api.js';
import { dialogError } from './messages.js';
import { state } from './state.js';
import { $, formatSize, formatTime, h, number, sizeElement, timeElement } from './words.js';

export const files = { page: 1, asked: 0, timer: 0 };

export function openDialog(name, backup) {
  state.subject = backup;
  const dialog = $(`${name}-dialog`);
  const about = [state.view.name ?? state.view.uuid, formatTime(backup.created_at)];
  if (backup.size !== null) about.push(formatSize(backup.size));
  dialog.querySelector('[data-about]').textContent = about.join(' · ');
  dialog.querySelector('[data-error]').textContent = '';
  dialog.showModal();
}

// The browser returns the focus to the button, unless the button was removed meanwhile.
export function afterDialog() {
  clearTimeout(files.timer);
  if (!state.view || document.activeElement !== document.body) return;
  const card = state.view.cards.get(state.subject.uuid)?.element;
  (card?.querySelector('h4') ?? $('backups-title')).focus();
}

export function allowRestore() {
  $('restore-form').querySelector('[type=submit]').disabled = !$('restore-confirm').checked;
}

export async function loadFiles() {
  const asked = ++files.asked;
  const filter = $('files-filter').value;
  const query = new URLSearchParams({ filter, page: files.page, per_page: 100 });
  $('files-count').textContent = 'Loading…';
  try {
    const answer = await api('GET', `${backupPath(state.subject)}/files?${query}`);
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
  $('files-count').textContent = total === 0 ? 'No files match.'
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

export function turnPage({ target }, step) {
  if (target.ariaDisabled === 'true') return;
  files.page += step;
  loadFiles();
}
