// The frame of the page: the sheet of settings on a phone, the help beside controls, and the theme.

import { store } from './store.js';

/**
 * @param {Record<string, any>} ui elements by id
 * @returns {{sheet: (on: boolean) => void}} opens and closes the sheet
 */
export function makeShell(ui) {
  /** On a phone the settings are a sheet over the page. */
  function sheet(on) {
    const was = ui.settings.classList.contains('open');
    if (was === on) return;
    ui.settings.classList.toggle('open', on);
    ui['settings-open'].setAttribute('aria-expanded', String(on));
    ui.backdrop.hidden = !on;
    document.body.classList.toggle('sheet', on);
    for (const part of [document.querySelector('header'), ui.stage, ui['seed-row'], ui.go]) part.inert = on;
    (on ? ui['settings-close'] : ui['settings-open']).focus();
  }
  ui['settings-open'].addEventListener('click', () => sheet(true));
  ui['settings-close'].addEventListener('click', () => sheet(false));
  ui.backdrop.addEventListener('click', () => sheet(false));
  matchMedia('(max-width: 720px), (max-width: 960px) and (orientation: portrait)').addEventListener('change', () => sheet(false));

  for (const help of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll('[popover]'))) {
    help.addEventListener('beforetoggle', (/** @type {ToggleEvent} */ event) => {
      if (event.newState !== 'open') return;
      const button = /** @type {Element} */ (document.querySelector(`[popovertarget=${help.id}]`));
      const { left, top, bottom } = button.getBoundingClientRect();
      const below = top < innerHeight / 2;
      help.style.left = `${Math.max(16, Math.min(left - 16, innerWidth - 376))}px`;
      help.style.top = below ? `${bottom + 8}px` : 'auto';
      help.style.bottom = below ? 'auto' : `${innerHeight - top + 8}px`;
    });
  }

  function theme(next) {
    if (next) document.documentElement.dataset.theme = next;
  }
  ui.theme.addEventListener('click', () => {
    const dark = document.documentElement.dataset.theme ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light');
    theme(dark === 'dark' ? 'light' : 'dark');
    store.write('theme', document.documentElement.dataset.theme);
  });
  theme(['light', 'dark'].find((name) => name === store.read('theme')));

  return { sheet };
}
