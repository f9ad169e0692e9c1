// What the page says: its status line, main button, errors and notices. Nothing here changes the layout.

import { explain } from './client.js';
import { fillOf } from './controls.js';
import { keyOf } from './state.js';

/** @import { App, Phase } from './app.js' */

// What the main button can do next: its label, and the key that does it.
const ACTS = {
  generate: ['Generate', 'Space'],
  another: ['Another seed', 'Space'],
  stop: ['Stop', 'Esc'],
  queue: ['Generate', 'Space'],
  queued: ['Starts when ready', ''],
  retry: ['Try again', 'Space'],
  reload: ['Reload the page', 'Space'],
};

/** @param {App} app */
export function makeScreen(app) {
  const { ui } = app;

  /** @param {string} text for screen readers */
  function announce(text) {
    ui.live.textContent = text;
  }

  /** @param {string} text */
  function status(text) {
    ui.status.textContent = text || '\u00a0';
  }

  /**
   * A notice that stays until it is dismissed.
   * @param {string} text
   * @param {{label: string, run: () => void}|null} [act]
   */
  function say(text, act = null) {
    ui['notice-text'].textContent = text;
    ui['notice-act'].textContent = act?.label ?? '';
    ui['notice-act'].onclick = () => {
      ui.notice.hidden = true;
      act?.run();
    };
    ui.notice.hidden = false;
    announce(text);
  }

  /** @param {Phase} phase */
  function enter(phase) {
    app.phase = phase;
    document.body.dataset.state = phase;
    render();
  }

  /**
   * What the main button does now.
   * @returns {keyof typeof ACTS}
   */
  function act() {
    if (app.phase === 'sampling') return 'stop';
    if (app.phase === 'error') return app.trouble?.act ?? 'retry';
    if (app.phase === 'fetching' || app.phase === 'compiling') return app.queued ? 'queued' : 'queue';
    return app.phase === 'done' && app.made === keyOf(app.settings) ? 'another' : 'generate';
  }

  /** Everything that follows from the state. */
  function render() {
    const { phase, settings } = app;
    const now = act();
    const [label, key] = ACTS[now];
    ui['generate-label'].textContent = label;
    ui['generate-key'].textContent = key;
    ui.generate.dataset.act = now;
    ui.cancel.hidden = phase !== 'fetching' || !app.loading;
    const scrub = app.history.length > 1 && (phase === 'ready' || phase === 'done');
    ui.timeline.hidden = !scrub;
    ui.progress.hidden = scrub;
    if (scrub) {
      ui.timeline.max = String(app.history.length - 1);
      fillOf(ui.timeline);
    }
    ui.save.disabled = !app.shown;
    const ddim = settings.sampler === 'ddim';
    ui.eta.disabled = !ddim;
    ui['eta-hint'].textContent = ddim ? '0: same noise, same picture.\n1: fresh noise in each step.' : 'DDPM always adds fresh noise.';
    ui.alone.hidden = settings.image === null;
    ui['alone-text'].textContent = `Only picture ${settings.image} of seed ${settings.seed}`;
    ui.error.hidden = phase !== 'error';
  }

  /** Shows an error in plain words, with what to do about it. */
  function fail(error) {
    console.error(error);
    trouble(explain(error));
  }

  /** @param {NonNullable<App['trouble']>} told */
  function trouble(told) {
    app.trouble = told;
    app.queued = false;
    app.running = null;
    ui['error-what'].textContent = told.what;
    ui['error-todo'].textContent = told.todo;
    ui['error-act'].textContent = ACTS[told.act][0];
    ui['error-own'].hidden = told.act === 'reload';
    ui['error-copy'].hidden = told.code === 'aborted';
    ui['error-copy'].textContent = 'Copy the detail';
    document.body.dataset.code = told.code;
    status('');
    // Noise replaces unfinished pictures; without an engine the tiles stay plain.
    app.pictures.fill();
    enter('error');
    if (told.code !== 'engine') app.runner.noise();
    announce(`${told.what} ${told.todo}`);
  }

  /** @param {import('./client.js').GpuInfo} info */
  function showGpu({ name, class: kind }) {
    ui.gpu.textContent = kind === 'software' ? 'No GPU: running on the processor, slowly' : `GPU: ${name || 'not named by this browser'}`;
    ui.gpu.title = name;
  }

  return { announce, status, say, enter, act, render, fail, trouble, showGpu };
}
