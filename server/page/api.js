// Requests to the node's API.

import { state } from './state.js';

// The name of the event on `window` after the node has refused the token.
export const TOKEN_REFUSED = 'token-refused';

export class SignedOut extends Error {}

export async function api(method, path, body) {
  const used = state.token;
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
    if (used === state.token) dispatchEvent(new Event(TOKEN_REFUSED));
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

export const serverPath = server => `/servers/${encodeURIComponent(server)}`;
export const backupPath = backup => `${serverPath(backup.server)}/backup/${backup.uuid}`;
