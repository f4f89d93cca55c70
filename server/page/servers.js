// The list of servers.

import { api } from './api.js';
import { state } from './state.js';
import { $, h, number } from './words.js';

export async function loadServers() {
  ({ servers: state.servers } = await api('GET', '/servers'));
  renderServers();
}

export function renderServers() {
  const focused = document.activeElement.hash;
  $('servers').replaceChildren(...state.servers.map(serverItem));
  $('no-servers').hidden = state.servers.length > 0;
  for (const link of $('servers').querySelectorAll('a')) {
    if (focused && link.hash === focused) link.focus();
  }
}

function serverItem(server) {
  const link = h('a', { href: `#${server.uuid}` },
    h('span', { class: server.name ? 'name' : 'name mono' }, server.name ?? server.uuid),
    h('span', { class: 'count' }, number(server.backups),
      h('span', { class: 'unseen' }, server.backups === 1 ? ' backup' : ' backups')));
  if (server.uuid === state.view?.uuid) link.ariaCurrent = 'page';
  return h('li', {}, link);
}
