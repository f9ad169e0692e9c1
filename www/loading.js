// Loading a model: fetching, preparing the GPU, and what the page says meanwhile.

import { load } from './client.js';
import { sentence } from './errors.js';
import { BUNDLED } from './state.js';
import { store } from './store.js';
import { megabytes, nameOf } from './words.js';

/** @import { App } from './app.js' */
/** @import { ModelInfo, Progress } from './client.js' */

const RECENT = 8; // models from elsewhere that the menu remembers
const SIDE_MAX = 1024;
const CHANNELS_MAX = 4;

/**
 * The class that a model uses if this one is wanted; null if it has no classes.
 * @param {ModelInfo} info
 * @param {number|null} wanted
 */
export const classOf = (info, wanted) => (info.num_classes === null ? null : Math.min(wanted ?? 0, info.num_classes - 1));

const bundledAs = (id) => BUNDLED.find((one) => one.id === id);

/** @param {App} app */
export function makeLoading(app) {
  const { ui, screen } = app;

  /** Loads a model in place of the current one. */
  async function open(id) {
    const bundled = bundledAs(id);
    app.loading?.abort();
    app.runner.drop();
    const own = (app.loading = new AbortController());
    const previous = app.model;
    app.model = null;
    app.trouble = null;
    ui['model-facts'].textContent = '\u00a0';
    notes([]);
    ui.progress.removeAttribute('value');
    screen.status(`Fetching ${nameOf(id)}`);
    screen.enter('fetching');
    if (bundled) app.shape = bundled;
    app.runner.noise();
    try {
      await previous?.dispose();
      const files = new Map(); // name -> {loaded, total}
      const model = await load(bundled?.url ?? app.local.get(id) ?? id, {
        dtype: bundled || store.read('f16') === false ? undefined : 'f16',
        signal: own.signal,
        onProgress: (event) => (app.loading === own ? progress(event, id, files) : later(event)),
      });
      if (app.loading !== own) return model.dispose();
      app.loading = null;
      app.model = model;
      arrived(id);
    } catch (error) {
      if (app.loading !== own) return;
      app.loading = null;
      if (error.code === 'aborted') cancelled(id);
      else screen.fail(error);
    }
  }

  /**
   * Shows the progress of the load.
   * @param {Progress} event
   * @param {string} id
   * @param {Map<string, {file: string, loaded: number, total?: number}>} files
   */
  function progress(event, id, files) {
    switch (event.status) {
      case 'lost':
        return lost(event.code);
      case 'config':
        return configured(event.config);
      case 'progress':
        files.set(event.file, event);
        return fetched(id, Array.from(files.values()), event.file);
      case 'compile':
        if (app.phase !== 'compiling') {
          screen.enter('compiling');
          screen.announce('Preparing the GPU.');
        }
        ui.progress.value = event.total ? event.done / event.total : 0;
        return screen.status(`Preparing the GPU · ${event.done} of ${event.total}`);
      case 'not-kept':
        return screen.say('The browser had no room to keep this model. The next visit will download it again.');
    }
  }

  /**
   * The loaded model is being loaded again, after the GPU or the engine was lost.
   * @param {Progress} event
   */
  function later(event) {
    if (event.status === 'lost') lost(event.code);
    if (event.status !== 'ready' || !app.model || app.running || app.phase === 'error') return;
    screen.status('Ready again.');
    screen.enter(app.made ? 'done' : 'ready');
  }

  /** Says that the GPU or the engine was lost, and what happens now. */
  function lost(code) {
    const what = code === 'internal' ? 'The engine stopped with an internal error. Starting it again…' : 'The system reset the GPU. Getting it back…';
    const then = app.running ? ` The run starts over from seed ${app.settings.seed}.` : '';
    screen.status(what + then);
    screen.announce(what + then);
  }

  // The shape of the pictures is known before the weights are: the noise can be drawn.
  function configured(config) {
    const { sample_size: size, in_channels: channels = 3 } = config ?? {};
    const [height, width] = Array.isArray(size) ? size : [size, size];
    const sane = (n, most) => Number.isInteger(n) && n >= 1 && n <= most;
    if (!sane(height, SIDE_MAX) || !sane(width, SIDE_MAX) || !sane(channels, CHANNELS_MAX)) return;
    if (height === app.shape.height && width === app.shape.width && channels === app.shape.channels) return;
    app.shape = { channels, height, width };
    app.runner.noise();
  }

  function fetched(id, files, newest) {
    const had = files.reduce((sum, { loaded }) => sum + loaded, 0);
    // The total is known once the last file, the weights, is being fetched.
    const known = newest.endsWith('safetensors') && files.every((file) => file.total);
    const total = known ? files.reduce((sum, file) => sum + file.total, 0) : 0;
    if (total) ui.progress.value = had / total;
    else ui.progress.removeAttribute('value');
    screen.status(`Fetching ${nameOf(id)} · ${total ? `${megabytes(had)} of ${megabytes(total)}` : `${megabytes(had)} so far`}`);
  }

  function arrived(id) {
    const { info, gpu } = /** @type {NonNullable<App['model']>} */ (app.model);
    app.shape = { channels: info.channels, height: info.height, width: info.width };
    const size = info.parameters >= 1e6 ? `${(info.parameters / 1e6).toFixed(info.parameters < 1e7 ? 2 : 1)} M` : `${Math.round(info.parameters / 1e3)} k`;
    ui['model-facts'].textContent = `${info.width} × ${info.height} · ${size} parameters`;
    notes(info.notes);
    screen.showGpu(gpu);
    ui['class-field'].hidden = info.num_classes === null;
    ui.class.max = String((info.num_classes ?? 1) - 1);
    if (!id.startsWith('files:') && !bundledAs(id)) {
      store.write('models', [id, ...(store.read('models') ?? []).filter((other) => other !== id)].slice(0, RECENT));
    }
    screen.status('');
    screen.enter('ready');
    const classLabel = classOf(info, app.settings.classLabel);
    if (classLabel !== app.settings.classLabel) app.set({ classLabel });
    app.controls.put(app.local.keys());
    screen.announce(`${nameOf(id)} is ready.`);
    if (!app.pictures.fits(info)) app.runner.noise();
    if (app.queued) {
      app.queued = false;
      app.runner.generate();
    }
  }

  /**
   * What had to be assumed about the model, beside its facts.
   * @param {string[]} all
   */
  function notes(all) {
    ui['model-notes'].replaceChildren(...all.map((note) => {
      const paragraph = document.createElement('p');
      paragraph.textContent = sentence(note);
      return paragraph;
    }));
    ui['model-notes-open'].hidden = !all.length;
  }

  function cancelled(id) {
    screen.trouble({ act: 'retry', what: `Fetching ${nameOf(id)} was cancelled.`, todo: '', detail: 'aborted', code: 'aborted' });
  }

  return { open, lost };
}
