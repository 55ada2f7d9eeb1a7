// Follows the changes of the page. Regions are replaced one by one; what a person has focused, opened or selected stays as
// it is until they leave it. Every page works without this file.
(() => {
  'use strict';
  const state = document.querySelector('[data-state]');
  const main = document.getElementById('content');
  if (!state || !main || !window.EventSource) return;

  const say = (text, isStale) => {
    if (state.textContent !== text) state.textContent = text;
    state.classList.toggle('stale', isStale);
  };
  const clock = () => new Date().toISOString().slice(11, 19);

  const isInUse = (region) => {
    if (region.contains(document.activeElement)) return true;
    if (region.querySelector('details[open]:not([data-opened]), details[data-opened]:not([open])')) return true;
    const selection = document.getSelection();
    return !selection.isCollapsed && selection.containsNode(region, true);
  };

  const regionsOf = (root) => [...root.querySelectorAll('[data-live]')];
  const namesOf = (root) => regionsOf(root).map((region) => region.dataset.live).join(' ');

  const show = (markup) => {
    const fresh = new DOMParser().parseFromString(`<main>${markup}</main>`, 'text/html').querySelector('main');
    if (namesOf(fresh) !== namesOf(main)) {
      if (!isInUse(main)) main.replaceChildren(...document.adoptNode(fresh).childNodes);
      return;
    }
    for (const region of regionsOf(fresh)) {
      const old = main.querySelector(`[data-live="${CSS.escape(region.dataset.live)}"]`);
      if (!isInUse(old) && old.outerHTML !== region.outerHTML) old.replaceWith(document.adoptNode(region));
    }
  };

  let source = null;
  let since = clock();
  const follow = () => {
    source = new EventSource(`/live?page=${encodeURIComponent(location.pathname + location.search)}`);
    source.addEventListener('open', () => say('Live', false));
    source.addEventListener('page', (event) => { since = clock(); say('Live', false); show(event.data); });
    source.addEventListener('stale', (event) => { say(`Stale since ${since}`, true); state.title = event.data; });
    source.addEventListener('error', () => say(`Stale since ${since}`, true));
  };
  const leave = () => { source?.close(); source = null; };

  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'btn sm d-only';
  button.textContent = 'Pause';
  button.addEventListener('click', () => {
    if (source) leave(); else follow();
    button.textContent = source ? 'Pause' : 'Follow';
    if (!source) say('Paused', true);
  });
  state.after(button);

  // A page that nobody sees is not followed.
  document.addEventListener('visibilitychange', () => {
    if (button.textContent !== 'Pause') return;
    if (document.hidden) leave(); else if (!source) follow();
  });
  window.addEventListener('pagehide', leave);
  follow();
})();
