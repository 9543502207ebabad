// Asks for the token of the host. It is kept until the tab is closed, and shown nowhere.

import { byId, setText } from './dom.js';

/** Listens to the form of the token. Returns the function that opens it, with a reason why it is asked for again. */
export function listenForToken(onToken) {
  const dialog = byId('token');
  const field = byId('token-field');
  byId('token-form').addEventListener('submit', (event) => {
    event.preventDefault();
    const token = field.value.trim();
    field.value = '';
    if (token === '') return;
    dialog.close();
    onToken(token);
  });
  return (reason) => {
    setText(byId('token-reason'), reason ?? 'The host was started with a token. It stands in the configuration of the host.');
    dialog.showModal();
    field.focus();
  };
}
