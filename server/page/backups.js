// The list of a server's backups.

import { api, serverPath } from './api.js';
import { fillCard, newCard, showProgress, verdict } from './card.js';
import { announce, hideAlert, showAlert } from './messages.js';
import { renderServers } from './servers.js';
import { state } from './state.js';
import { $, formatSize } from './words.js';

export async function load(of) {
  if (!of || of !== state.view) return;
  of.again = of.loading;
  if (of.loading) return;
  of.loading = true;
  clearTimeout(of.timer);
  let delay;
  try {
    do {
      of.again = false;
      const { backups } = await api('GET', `${serverPath(of.uuid)}/backups`);
      if (of !== state.view) return;
      if (of.backups) announceChanges(of.backups, backups);
      of.backups = backups;
      renderBackups(of);
    } while (of.again);
    hideAlert('load');
    delay = pollDelay(of);
  } catch (error) {
    if (of !== state.view) return;
    showAlert(error.message, 'load');
    delay = 5000;
  } finally {
    of.loading = false;
  }
  if (delay) of.timer = setTimeout(load, delay, of);
}

// Events do not cover positions in the queue and the Panel's answer.
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
  if (state === 'queued' && position) return `queued, position ${position} in the queue`;
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
  const server = state.servers.find(({ uuid }) => uuid === of.uuid);
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
  if (backup.progress) updateProgress(card.element, backup.progress);
  return card.element;
}

export function updateProgress(card, progress) {
  const words = showProgress(card, progress);
  if (words) announce(words);
}

export function showEmpty(text) {
  $('no-backups').hidden = !text;
  $('no-backups').textContent = text;
}
