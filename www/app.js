// The page. Its state is one object, `app`, which its parts share: screen.js says things, loading.js brings models,
// running.js generates, and pictures.js keeps and shows what was generated. Nothing heavy is computed here: that happens
// in the worker behind client.js.
//
// Hooks for tests (kept stable):
//   <body data-state="fetching|compiling|ready|sampling|done|error">; data-code on <body> names the error, data-restarts
//   counts how often a run began again, and #grid[data-drawn] counts frames drawn.
//   Controls: #model #seed #dice #count-4 #count-16 #count-64 #sampler-ddim #sampler-ddpm #steps #steps-range #eta #class
//   #show-x_t #show-pred_x0 #generate (its data-act: generate|another|stop|queue|queued|retry|reload) #cancel #save #link #theme
//   Shown: #grid canvas, #status, #progress, #timeline, #gpu, #model-facts, #model-notes, #live
//   Errors: #error #error-what #error-todo #error-act #error-own #error-copy; #notice #notice-text #notice-act
//   Bring your own: #own-open #own #own-id #own-f16 #own-load #own-error #own-folder-input #own-files-input #own-forget
//   A picture: #viewer #viewer-canvas #viewer-save #viewer-scale #viewer-alone #viewer-previous #viewer-next #viewer-close
//   Phone: #settings-open #settings #settings-close
//   `import('/www/client.js')` in the page gives the page's own instance; its `loseDevice()` takes the GPU away.

import { forgetModels, gpu } from './client.js';
import { anySeed, makeControls } from './controls.js';
import { classOf, makeLoading } from './loading.js';
import { makeOwn } from './own.js';
import { makePictures } from './pictures.js';
import { makeRunning } from './running.js';
import { makeScreen } from './screen.js';
import { makeShell } from './shell.js';
import { BUNDLED, DEFAULTS, check, format, parse } from './state.js';
import { store } from './store.js';
import { nameOf } from './words.js';

/** @import { Generation, Model } from './client.js' */
/** @import { Moment, Shown } from './pictures.js' */
/** @import { Settings } from './state.js' */
/**
 * @typedef {'fetching'|'compiling'|'ready'|'sampling'|'done'|'error'} Phase
 *
 * @typedef {object} App
 * @property {Record<string, any>} ui elements by id
 * @property {Settings} settings what the controls and the address say
 * @property {Phase} phase
 * @property {Model|null} model the model, when it is loaded
 * @property {{channels: number, height: number, width: number}} shape shape of its pictures
 * @property {AbortController|null} loading the load in progress
 * @property {{stop: AbortController, steps: Generation|null}|null} running the run in progress
 * @property {boolean} queued Generate was pressed before the model was loaded
 * @property {Moment[]} history the moments of the present run, the noise first
 * @property {Settings|null} ran the settings that the history was made with; the controls may have changed since
 * @property {string|null} made keyOf() the settings whose pictures are finished
 * @property {Shown|null} shown what is on the grid
 * @property {ReturnType<typeof import('./client.js').explain>|null} trouble the error on the screen
 * @property {Map<string, Record<string, File>>} local models of this visit: `files:NAME`, and the files
 * @property {(change: Partial<Settings>) => void} set changes settings
 * @property {{put: (files: Iterable<string>) => void}} controls
 * @property {ReturnType<typeof makeScreen>} screen
 * @property {ReturnType<typeof makePictures>} pictures
 * @property {ReturnType<typeof makeLoading>} loader
 * @property {ReturnType<typeof makeRunning>} runner
 */

/** @type {App} */
const app = /** @type {any} */ ({
  ui: Object.fromEntries(Array.from(document.querySelectorAll('[id]'), (element) => [element.id, element])),
  settings: { ...DEFAULTS },
  phase: 'fetching',
  model: null,
  shape: BUNDLED[0],
  loading: null,
  running: null,
  queued: false,
  history: [],
  ran: null,
  made: null,
  shown: null,
  trouble: null,
  local: new Map(),
  set,
});
const { ui } = app;
const screen = (app.screen = makeScreen(app));
const pictures = (app.pictures = makePictures(app));
const loader = (app.loader = makeLoading(app));
const runner = (app.runner = makeRunning(app));
const { sheet } = makeShell(ui);
app.controls = makeControls(ui, () => app.settings, {
  set,
  announce: screen.announce,
  again() {
    if (app.phase !== 'done') return;
    app.made = null;
    screen.render();
  },
});

// ---- settings ----------------------------------------------------------------------------------------------------

/**
 * Changes settings: the address, the controls, and the noise if the pictures will begin differently.
 * @param {Partial<Settings>} change
 */
function set(change) {
  const before = app.settings;
  const settings = (app.settings = { ...before, ...change });
  // The class for another model is decided when that model has arrived.
  if (app.model && settings.model === before.model) settings.classLabel = classOf(app.model.info, settings.classLabel);
  const changed = (key) => before[key] !== settings[key];
  history.replaceState(null, '', format(settings));
  app.controls.put(app.local.keys());
  if (changed('show')) runner.show();
  if (['model', 'seed', 'count', 'image', 'classLabel'].some(changed)) {
    runner.drop();
    if (app.model && !app.loading && app.phase !== 'error') {
      screen.enter('ready');
      screen.status('');
    }
    if (!changed('model')) runner.noise();
  }
  if (app.phase === 'error' && app.model && !changed('model')) screen.enter('ready');
  screen.render();
  if (changed('model')) loader.open(settings.model);
}

/** Takes the settings from the address, at the beginning and whenever it changes. */
function begin() {
  const { state: wanted, ignored } = parse(location.hash);
  const bundled = (id) => BUNDLED.some((one) => one.id === id);
  const known = bundled(wanted.model) || app.local.has(wanted.model) || (store.read('models') ?? []).includes(wanted.model);
  const { model: asked, classLabel } = wanted;
  if (!known) wanted.model = bundled(app.settings.model) ? app.settings.model : DEFAULTS.model;
  const first = !app.loading && !app.model && app.phase === 'fetching';
  if (first) app.settings = wanted;
  else set(wanted);
  app.controls.put(app.local.keys());
  screen.render();
  if (first) loader.open(wanted.model);
  const odd = ignored.length ? `Part of this link was not understood and is ignored: ${ignored.join(', ')}. ` : '';
  if (!known) offer(asked, `${odd}This link is for`, classLabel);
  else if (odd) screen.say(odd);
}

/**
 * A model that a link or a picture names is fetched from elsewhere only if the visitor says so.
 * @param {string} id
 * @param {string} because
 * @param {number|null} [classLabel]
 */
function offer(id, because, classLabel = null) {
  if (id.startsWith('files:')) return screen.say(`${because} files called “${nameOf(id)}”. Bring them to see the same pictures.`);
  const bundled = BUNDLED.some((one) => one.id === id);
  const host = /^https?:/.test(id) ? new URL(id).host : 'huggingface.co';
  screen.say(`${because} ${nameOf(id)}.`, {
    label: bundled ? 'Use it' : `Fetch it from ${host}`,
    run: () => set({ model: id, classLabel }),
  });
}

// ---- acts --------------------------------------------------------------------------------------------------------

/** The main button. */
function press() {
  switch (screen.act()) {
    case 'stop':
      return app.running?.stop.abort();
    case 'another':
      set({ seed: anySeed() });
      // Also if the field has the focus: `set` does not change such a field.
      ui.seed.value = String(app.settings.seed);
      return runner.generate();
    case 'queue':
    case 'queued':
      app.queued = !app.queued;
      return screen.render();
    case 'reload':
      return location.reload();
    default:
      delete document.body.dataset.code;
      if (!app.model) return loader.open(app.settings.model);
      if (app.phase === 'error') screen.enter('ready');
      return runner.generate();
  }
}

async function copy(button, text) {
  const label = (button.dataset.label ??= button.textContent);
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = 'Copied';
    screen.announce('Copied.');
  } catch {
    button.textContent = 'Copying is not allowed';
    screen.announce('The browser does not allow copying. The link is the address of this page.');
  }
  setTimeout(() => (button.textContent = label), 1600);
}

/** Uses another model, or loads this one again. */
function bring(id) {
  sheet(false);
  if (app.settings.model === id) loader.open(id);
  else set({ model: id, classLabel: null });
}

const own = makeOwn(ui, {
  files(found, name) {
    const id = check('model', `files:${name.slice(0, 90)}`) ?? 'files:local files';
    app.local.set(id, found);
    bring(id);
  },
  id(id, f16) {
    store.write('f16', f16);
    bring(id);
  },
  recipe({ state: { model: from, ...settings }, lost }) {
    set(settings);
    const but = lost.length ? ` This page has no control for: ${lost.join(', ')}.` : '';
    if (!from || from === app.settings.model) screen.say(`The settings of this picture are back.${but}`);
    else offer(from, `${but.trim()} This picture was made with`.trim(), settings.classLabel);
  },
  say: screen.say,
  forget: forgetModels,
});

ui.controls.addEventListener('submit', (event) => {
  event.preventDefault();
  press();
});
ui['error-act'].addEventListener('click', press);
ui['error-copy'].addEventListener('click', () => copy(ui['error-copy'], app.trouble?.detail));
ui['notice-close'].addEventListener('click', () => (ui.notice.hidden = true));
ui.cancel.addEventListener('click', () => app.loading?.abort());
ui.link.addEventListener('click', () => copy(ui.link, new URL(format(app.settings), location.href).href));
ui.save.addEventListener('click', () => pictures.save());
ui['alone-end'].addEventListener('click', () => set({ image: null }));
ui.model.addEventListener('change', () => {
  if (ui.model.value !== 'own') return set({ model: ui.model.value, classLabel: null });
  ui.model.value = app.settings.model;
  own.open();
});

addEventListener('keydown', (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (document.querySelector('dialog[open], [popover]:popover-open')) return;
  if (event.key === 'Escape') {
    if (ui.settings.classList.contains('open')) sheet(false);
    else app.running?.stop.abort();
  }
  if (event.key !== ' ') return;
  // If Space already has a meaning, it keeps it.
  const target = event.target instanceof Element ? event.target : document.body;
  if (target.closest('button, a, select, textarea, input[type=text], input[type=checkbox], input[type=radio]:not(:checked)')) return;
  event.preventDefault();
  if (!app.running) press();
});

// ---- beginning ---------------------------------------------------------------------------------------------------

addEventListener('hashchange', begin);
begin();
// Keeps the page itself for visits without a network; nothing depends on it.
navigator.serviceWorker?.register('./sw.js').catch(() => {});
// This is known long before the model is loaded. If it fails, the load says so, because it needs the GPU too.
gpu().then(screen.showGpu, () => {});
