// The pictures of the present run: its moments, the noise first; the one of them that is on the grid and in the viewer; the
// timeline that chooses it; and saving.

import { fillOf } from './controls.js';
import { makeGrid } from './grid.js';
import { countOf, firstNumberOf } from './state.js';
import { makeViewer, saveGrid } from './viewer.js';

/** @import { App } from './app.js' */
/** @import { Step, View } from './client.js' */
/**
 * @typedef {object} Moment
 * @property {number} step steps done
 * @property {number|null} t
 * @property {number|null} [first] index of the first picture of its batch, if there are several batches
 * @property {Partial<Record<View, Uint8ClampedArray<ArrayBuffer>>>} pictures
 *
 * @typedef {{rgba: Uint8ClampedArray<ArrayBuffer>, step: number, view: View}} Shown
 */

const HISTORY_BYTES = 96 * 2 ** 20;

/** @param {App} app */
export function makePictures(app) {
  const { ui } = app;
  const grid = makeGrid(ui.grid, ui.frame, (i) => viewer.open(i));
  const viewer = makeViewer(ui, () => ({ ...grid.shape, rgba: app.shown?.rgba, recipe }), {
    alone: (i) => app.set({ image: firstNumberOf(app.settings) + i }),
    closed: (i) => grid.focus(i),
  });

  const bytesOfView = () => 4 * countOf(app.settings) * app.shape.width * app.shape.height;

  /**
   * The views to request. If both take little memory, both: then one can switch and scrub freely afterwards.
   * @returns {View[]}
   */
  function views() {
    const { show, steps } = app.settings;
    return 2 * bytesOfView() * steps <= HISTORY_BYTES ? [...new Set([show, /** @type {const} */ ('x_t'), /** @type {const} */ ('pred_x0')])] : [show];
  }

  /** The view of a moment that the settings ask for, or one that it has. */
  function viewOf(moment) {
    return /** @type {View} */ (moment.pictures[app.settings.show] ? app.settings.show : Object.keys(moment.pictures)[0]);
  }

  function show(moment, view = viewOf(moment)) {
    app.shown = { rgba: moment.pictures[view], step: moment.step, view };
    grid.draw(app.shown.rgba);
    viewer.draw();
  }

  /** Begins a new run, which has only its noise so far. */
  function begin(rgba) {
    const { width, height } = app.shape;
    grid.reshape(countOf(app.settings), width, height, firstNumberOf(app.settings));
    app.history = [{ step: 0, t: null, pictures: { x_t: rgba, pred_x0: rgba } }];
    app.ran = { ...app.settings };
    show(app.history[0], 'x_t');
    app.screen.render();
    viewer.refresh();
  }

  /** Back to the noise. */
  function restart() {
    app.history = app.history.slice(0, 1);
    if (app.history.length) show(app.history[0], 'x_t');
  }

  /**
   * Shows a step, and keeps it if there is room: as many as fit into HISTORY_BYTES, evenly spread.
   * @param {Step} step
   */
  function add({ step, steps, t, count, image, batch, pictures }) {
    if (!pictures) return;
    const batches = Math.ceil(count / batch);
    const moment = { step, t, first: batches > 1 ? image : null, pictures };
    const every = Math.ceil((views().length * bytesOfView() * steps * batches) / HISTORY_BYTES);
    if ((Math.floor(image / batch) * steps + step) % every === 0) app.history.push(moment);
    show(moment);
  }

  /** The result of the run. */
  function finish({ steps, t, rgba }) {
    // The last step may already be there as a view; the result replaces it.
    if (app.history.at(-1)?.step === steps) app.history.pop();
    app.history.push({ step: steps, t, pictures: { x_t: rgba, pred_x0: rgba } });
    show(/** @type {Moment} */ (app.history.at(-1)), 'x_t');
    toEnd();
  }

  /** @param {Moment} moment in words */
  function told({ step, t, first = null }) {
    const of = app.ran?.steps;
    return [
      step ? `Step ${step} of ${of}` : `Noise · before step 1 of ${of}`,
      first !== null && `from picture ${first + 1}`,
      step && `t = ${t}`,
    ].filter(Boolean).join(' · ');
  }

  /** The moment that the timeline points at. */
  const pointed = () => app.history[Math.min(Number(ui.timeline.value), app.history.length - 1)];

  /** Shows the moment that the timeline points at, in the present view. */
  function look() {
    const moment = pointed();
    if (moment && !app.running) show(moment);
  }

  /** Moves the timeline to its end. */
  function toEnd() {
    ui.timeline.max = String(app.history.length - 1);
    ui.timeline.value = ui.timeline.max;
    const last = app.history.at(-1);
    if (last) ui.timeline.setAttribute('aria-valuetext', told(last));
  }

  ui.timeline.addEventListener('input', () => {
    const moment = pointed();
    if (!moment) return;
    fillOf(ui.timeline);
    look();
    app.screen.status(told(moment));
    ui.timeline.setAttribute('aria-valuetext', told(moment));
  });

  /** How the pictures on the grid were made, or only one of them if its place on the grid is given. */
  function recipe(i) {
    const of = app.ran ?? app.settings;
    const whole = app.shown?.step === of.steps;
    return {
      unnoise: 1,
      model: of.model,
      hash: app.model?.info.hash ?? undefined,
      sampler: of.sampler,
      steps: of.steps,
      eta: of.sampler === 'ddim' ? of.eta : undefined,
      seed: of.seed,
      count: of.count,
      image: i === undefined ? (of.image ?? undefined) : firstNumberOf(of) + i,
      class: of.classLabel ?? undefined,
      width: grid.shape.width,
      height: grid.shape.height,
      // A picture that is saved before the end of its run says so.
      step: whole ? undefined : app.shown?.step,
      view: whole ? undefined : app.shown?.view,
      gpu: app.model?.gpu.name,
    };
  }

  return {
    views, begin, restart, add, finish, toEnd, look,
    /** Shows plain tiles while there is nothing else. */
    fill() {
      if (!grid.shape.count) grid.reshape(countOf(app.settings), app.shape.width, app.shape.height, firstNumberOf(app.settings));
    },
    fits: ({ width, height }) => grid.shape.width === width && grid.shape.height === height,
    refresh: () => viewer.refresh(),
    save: () => app.shown && saveGrid(app.shown.rgba, grid.shape, recipe()),
  };
}
