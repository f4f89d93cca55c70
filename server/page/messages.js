// Messages to people: for screen readers, as an alert, in a dialog, and those of the daemon.

import { $, h } from './words.js';

export function announce(text) {
  const line = h('p', {}, text);
  $('announcer').append(line);
  setTimeout(() => line.remove(), 10_000);
}

export function showAlert(text, kind) {
  $('alert-box').hidden = false;
  $('alert-box').dataset.kind = kind;
  if ($('alert').textContent !== text) $('alert').textContent = text;
}

export function hideAlert(kind) {
  if (kind && $('alert-box').dataset.kind !== kind) return;
  $('alert-box').hidden = true;
  $('alert').textContent = '';
}

export function dialogError(text) {
  const place = document.querySelector('dialog[open] [data-error]');
  if (place) place.textContent = text;
  return place !== null;
}

// What the daemon says in words may come often: it is shown at once and read out now and then.
export function showMessage(text) {
  const list = $('daemon-messages');
  list.prepend(h('li', {}, h('time', {}, new Date().toLocaleTimeString()), text));
  while (list.children.length > 3) list.lastChild.remove();
  $('daemon').hidden = false;
  showMessage.timer ??= setTimeout(() => {
    showMessage.timer = null;
    if (list.firstChild) announce(list.firstChild.lastChild.textContent);
  }, 3000);
}

export function clearMessages() {
  $('daemon-messages').replaceChildren();
  $('daemon').hidden = true;
}
