// Live events of a server, over its WebSocket.

import { api, serverPath } from './api.js';
import { load, updateProgress } from './backups.js';
import { showMessage } from './messages.js';
import { state } from './state.js';
import { $ } from './words.js';

export async function connect(of) {
  try {
    const { token: jwt, socket } = await api('POST', `${serverPath(of.uuid)}/websocket`);
    if (of !== state.view) return;
    const url = new URL(socket, location.origin);
    url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
    of.socket = new WebSocket(url);
    of.socket.addEventListener('open', () => authenticate(of, jwt));
    of.socket.addEventListener('message', ({ data }) => handleEvent(of, JSON.parse(data)));
    of.socket.addEventListener('close', () => reconnect(of));
  } catch {
    reconnect(of); // `load` shows the error
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
  if (of !== state.view) return;
  const wait = Math.min(30, 2 ** of.attempt) * (750 + 500 * Math.random());
  of.attempt += 1;
  of.retry = setTimeout(connect, wait, of);
  const lost = of.live;
  setLive(of, false, 'Not connected, trying again…');
  if (lost) load(of);
}

export function setLive(of, live, words) {
  of.live = live;
  $('live').textContent = words;
  $('live').classList.toggle('on', live);
}

function handleEvent(of, { event, args = [] }) {
  if (of !== state.view) return;
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
    handleProgress(of, JSON.parse(args[1]));
  } else if (event.startsWith('backup ')) {
    load(of);
  }
}

function handleProgress(of, progress) {
  const backup = of.backups?.find(({ uuid }) => uuid === progress.uuid);
  if (backup?.state === 'running') updateProgress(of.cards.get(backup.uuid).element, progress);
  else load(of);
}
