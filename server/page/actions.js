// The actions of the buttons.

import { api, backupPath, serverPath } from './api.js';
import { load } from './backups.js';
import { fillInfo, message, partialMessage } from './card.js';
import { allowRestore, files, loadFiles, openDialog } from './dialogs.js';
import { announce } from './messages.js';
import { state } from './state.js';
import { $, h, newUuid } from './words.js';

export const ACTIONS = {
  async cancel(backup) {
    await api('POST', `${backupPath(backup)}/cancel`);
    await load(state.view);
  },
  async verify(backup) {
    await api('POST', `${backupPath(backup)}/verify`);
    announce('Verifying.');
    await load(state.view);
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

export async function create() {
  const body = { adapter: 'wings', uuid: newUuid(), ignore: $('ignore').value };
  await api('POST', `${serverPath(state.view.uuid)}/backup`, body);
  await load(state.view);
}

export async function restore() {
  await api('POST', `${backupPath(state.subject)}/restore`, {
    adapter: state.subject.adapter,
    truncate_directory: $('restore-truncate').checked,
    download_url: '',
  });
  $('restore-dialog').close();
  announce('Restore started.');
  await load(state.view);
}

export async function remove() {
  await api('DELETE', backupPath(state.subject));
  $('delete-dialog').close();
  announce('Backup deleted.');
  await load(state.view);
}

export async function download(backup, what) {
  const { url } = await api('POST', `${backupPath(backup)}/link`, what);
  h('a', { href: url, download: '' }).click();
}

// Reads what the archive of an opened card says about itself, once.
export async function readInfo(card, backup) {
  if (backup.state !== 'complete' || !backup.readable || card.dataset.info) return;
  fillInfo(card, await api('GET', `${backupPath(backup)}/info`));
  card.dataset.info = 'read';
}

export async function copy(button) {
  const code = button.parentElement.querySelector('code');
  const text = code.title || code.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = 'Copied';
    announce('Copied.');
    setTimeout(() => { button.textContent = 'Copy'; }, 2000);
  } catch {
    // Over plain HTTP there is no clipboard. The full text is shown and selected instead.
    code.textContent = text;
    getSelection().selectAllChildren(code);
    announce('Selected. Copy it with the keyboard.');
  }
}
