// The card of a backup, filled with the data of the node.

import {
  $, count, formatDuration, formatSize, formatTime, h, number, sizeElement, timeElement,
} from './words.js';

const STATES = { queued: 'note', running: 'note', complete: 'good', failed: 'bad' };
const PANEL = {
  none: null,
  delivered: null,
  pending: ['note', 'Panel pending: the Panel has not confirmed the result yet.'],
  refused: ['warn', 'Panel refused: the Panel did not accept the result of this backup.'],
  orphan: ['warn', 'Panel orphan: the Panel has deleted this backup.'],
};

export function newCard(backup) {
  const card = $('card').content.firstElementChild.cloneNode(true);
  const title = card.querySelector('h4');
  title.id = `title-${backup.uuid}`;
  card.dataset.uuid = backup.uuid;
  card.querySelector('progress').setAttribute('aria-labelledby', title.id);
  for (const button of card.querySelectorAll('.buttons button, summary')) {
    button.setAttribute('aria-describedby', title.id);
  }
  return card;
}

const place = (card, name) => card.querySelector(`[data-put="${name}"]`);

// Shows what is known, and hides a fact that is not.
function fill(card, name, known, words) {
  const at = place(card, name);
  at.replaceChildren(...known === null ? [] : [words(known)].flat());
  const fact = at.closest('[data-fact]');
  if (fact) fact.hidden = known === null;
}

export function fillCard(card, backup) {
  const { state, size, checksum, completed_at: ended } = backup;
  const at = name => place(card, name);
  const put = (name, known, words) => fill(card, name, known, words);
  put('title', backup.created_at, formatTime);
  at('title').dateTime = backup.created_at;
  put('badges', backup, badges);
  put('size', size, sizeElement);
  put('files', backup.files, number);
  put('short', checksum, text => `${text.slice(0, 12)}…`);
  at('short').title = checksum ?? '';
  at('facts').hidden = size === null && checksum === null && backup.files === null;
  at('running').hidden = state !== 'running';
  put('messages', backup, messages);
  put('uuid', backup.uuid, String);
  put('checksum', checksum, String);
  put('bytes', size, bytes => count(bytes, 'byte'));
  put('skipped', backup.skipped, skipped => count(skipped, 'file'));
  put('adapter', backup.adapter,
    adapter => adapter + (backup.readable ? '' : ', not readable for this daemon'));
  put('begun', backup.created_at, timeElement);
  put('ended', ended, end => [timeElement(end),
    `, after ${formatDuration(new Date(end) - new Date(backup.created_at))}`]);
  fillButtons(card, backup);
}

// Adds what the archive says about itself.
export function fillInfo(card, { label, tags, source, host, tool, made_at: made }) {
  const pairs = tags.map(({ key, value }) => `${key}=${value}`).join(', ');
  fill(card, 'label', label || null, String);
  fill(card, 'tags', pairs || null, String);
  fill(card, 'source', source, String);
  fill(card, 'host', host, String);
  fill(card, 'tool', tool || null, String);
  fill(card, 'made', made, timeElement);
}

function fillButtons(card, { state, readable, verifying, restoring }) {
  const focused = document.activeElement;
  const complete = state === 'complete';
  const set = (action, shown, disabled = false) => {
    const button = card.querySelector(`[data-action="${action}"]`);
    button.hidden = !shown;
    button.ariaDisabled = String(disabled);
  };
  set('cancel', state === 'queued' || state === 'running');
  set('files', complete && readable);
  set('verify', complete && readable, verifying);
  set('download', complete && readable);
  set('restore', complete && readable, restoring);
  set('delete', complete || state === 'failed', restoring);
  if (focused.hidden && card.contains(focused)) card.querySelector('h4').focus();
}

function badges({ state, position, partial, verifying, verified, restoring }) {
  const badge = (words, kind) => h('span', { class: `badge ${kind}` }, words);
  const name = state.charAt(0).toUpperCase() + state.slice(1);
  const all = [badge(name + (position ? `, position ${position} in the queue` : ''), STATES[state])];
  if (partial) all.push(badge('Partial', 'warn'));
  if (verifying) all.push(badge('Verifying…', 'note'));
  else if (verified) all.push(verified.whole ? badge('Whole', 'good') : badge('Damaged', 'bad'));
  if (restoring) all.push(badge('Restoring…', 'note'));
  return all;
}

function messages(backup) {
  const { state, error, partial, warnings, verified, verifying, restored, restoring, panel } = backup;
  const all = [];
  if (state === 'failed') all.push(['bad', error ?? 'The reason is unknown.']);
  if (partial) all.push(partialMessage(backup));
  if (warnings.length) all.push(['warn', `${count(warnings.length, 'warning')}:`, texts(warnings)]);
  if (verified && !verifying) all.push(verdict(verified));
  if (restored && !restoring) all.push(outcome(restored));
  const panelState = panel in PANEL ? PANEL[panel] : ['note', `Panel: ${panel}`];
  if (panelState) all.push(panelState);
  return all.map(parts => message(...parts));
}

export function partialMessage({ skipped }) {
  return ['warn', `Partial: ${skipped ? count(skipped, 'file') : 'some files'} skipped.`];
}

export function verdict({ at, whole, damage }) {
  const when = `verified ${formatTime(at)}`;
  if (whole) return ['good', `Whole: ${when}, no damage.`];
  return ['bad', `Damaged: ${when}, ${count(damage.length, 'problem')}.`, texts(damage)];
}

const texts = findings => findings.map(({ message }) => message);

function outcome({ at, successful, error }) {
  const when = formatTime(at);
  return successful ? ['good', `Restored ${when}.`] : ['bad', `Not restored, ${when}: ${error}`];
}

export function message(kind, text, lines = []) {
  const box = h('div', { class: `message ${kind}` }, h('p', {}, text));
  // A long list scrolls, so it must be reachable by keyboard.
  const list = h('ul', lines.length > 5 ? { 'tabindex': 0, 'aria-label': text } : {});
  list.append(...lines.map(line => h('li', {}, line)));
  if (lines.length) box.append(list);
  return box;
}

// Returns the text for screen readers: once for each quarter, otherwise nothing.
export function showProgress(card, progress) {
  const { percent } = progress;
  const bar = card.querySelector('progress');
  if (percent === null) bar.removeAttribute('value');
  else bar.value = percent;
  card.querySelector('[data-put="numbers"]').textContent = progressWords(progress);
  const quarter = Math.floor((percent ?? 0) / 25);
  if (quarter <= Number(card.dataset.quarter ?? 0) || quarter > 3) return '';
  card.dataset.quarter = quarter;
  return `Backup: ${quarter * 25} percent`;
}

function progressWords(progress) {
  const { phase, percent, bytes, expected_bytes: expected, written, rate, time_left_ms: left } = progress;
  const words = [phase.charAt(0).toUpperCase() + phase.slice(1)];
  if (percent !== null) words.push(`${Math.floor(percent)} %`);
  words.push(expected ? `${formatSize(bytes)} of ${formatSize(expected)}` : formatSize(bytes));
  words.push(`${formatSize(rate)}/s`, `${formatSize(written)} written`);
  if (left !== null) words.push(`about ${formatDuration(left)} left`);
  return words.join(' · ');
}
