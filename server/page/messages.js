// Messages: for screen readers, in the alert, in a dialog, and from the daemon.

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

// Messages of the daemon may be frequent. Each is shown at once; the last one is read out every three seconds.
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
