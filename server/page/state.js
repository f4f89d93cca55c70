// The state that the modules share.

export const STORED = 'wingback-token';

export const state = {
  token: sessionStorage.getItem(STORED),
  servers: [],
  view: null, // the shown server; responses for another server are dropped
  subject: null, // the backup of the open dialog
};
