// Runs: the noise of the present seed, and generating from it.

import { noise as drawNoise } from './client.js';
import { countOf, firstNumberOf, keyOf, requestOf } from './state.js';
import { pace, plural, span } from './words.js';

/** @import { App } from './app.js' */
/** @import { Step } from './client.js' */

const SPEAK_AFTER_MS = 8000; // a shorter run ends before a sentence has been spoken

/** @param {App} app */
export function makeRunning(app) {
  const { ui, screen, pictures } = app;
  let wanted = 0; // counts the requests for noise; only the newest is shown
  /** @type {Promise<void>|null} */
  let noising = null; // the noise being drawn

  /** Draws x_T of the current seed immediately, since that needs no model and no GPU. */
  function noise() {
    noising = newNoise();
  }

  async function newNoise() {
    const mine = ++wanted;
    try {
      const { seed } = app.settings;
      const rgba = await drawNoise({ ...app.shape, seed, first: firstNumberOf(app.settings) - 1, count: countOf(app.settings) });
      if (mine === wanted) pictures.begin(rgba);
    } catch (error) {
      if (mine === wanted && app.phase !== 'error') screen.fail(error);
    }
  }

  async function generate() {
    if (!app.model || app.running) return;
    const { model } = app;
    const stop = new AbortController();
    /** @type {NonNullable<App['running']>} */
    const own = (app.running = { stop, steps: null });
    const request = requestOf(app.settings);
    const key = keyOf(app.settings);
    const speak = makeSpeaker(screen);
    app.made = null;
    app.ran = { ...app.settings };
    ui.progress.value = 0;
    screen.status(`Step 0 of ${request.steps}`);
    screen.enter('sampling');
    screen.announce(`Generating ${plural(request.count, 'picture')}.`);
    try {
      // A seed may have been typed a moment ago: its noise is what the run begins with.
      await noising;
      if (app.running !== own) return;
      pictures.restart();
      own.steps = model.generate({ ...request, preview: pictures.views() }, { signal: stop.signal });
      for await (const step of own.steps) {
        if (app.running !== own) return;
        if (step.restarted !== undefined) {
          restarted(step.code);
        } else if (step.done) {
          finished(step, key);
          return;
        } else {
          pictures.add(step);
          ui.progress.value = step.progress;
          screen.status(told(step));
          speak(step.progress);
        }
      }
    } catch (error) {
      if (app.running !== own) return;
      app.running = null;
      if (error.code === 'aborted') stopped();
      else screen.fail(error);
    }
  }

  function restarted(code) {
    pictures.restart();
    document.body.dataset.restarts = String(Number(document.body.dataset.restarts ?? 0) + 1);
    ui.progress.value = 0;
    app.loader.lost(code);
  }

  function finished(step, key) {
    app.running = null;
    app.made = key;
    pictures.finish(step);
    ui.progress.value = 1;
    const text = `${plural(step.count, 'picture')} in ${span(step.seconds)} · ${pace(step.itPerSecond)}`;
    screen.status(text);
    screen.announce(`Done: ${text}.`);
    screen.enter('done');
    pictures.refresh();
  }

  function stopped() {
    pictures.toEnd();
    screen.status(`Stopped at step ${app.shown?.step ?? 0} of ${app.ran?.steps}`);
    screen.announce('Stopped.');
    screen.enter('ready');
  }

  return {
    noise, generate,
    /** Called when the run in progress, or its result, is not wanted any more. */
    drop() {
      app.running?.stop.abort();
      app.running = null;
      app.made = null;
    },
    /** Shows the view that the settings ask for, now and in the coming steps. */
    show() {
      app.running?.steps?.show(pictures.views());
      pictures.look();
    },
  };
}

/**
 * A step in words.
 * @param {Step} step
 */
const told = ({ step, steps, t, image, batch, count, itPerSecond, secondsLeft }) => [
  `Step ${step} of ${steps}`,
  batch < count ? `from picture ${image + 1}` : `t = ${t}`,
  itPerSecond && pace(itPerSecond),
  secondsLeft !== undefined && `${span(secondsLeft)} left`,
].filter(Boolean).join(' · ');

/** At each quarter, a long run announces its progress to screen readers. */
function makeSpeaker(screen) {
  const begun = performance.now();
  let spoken = 0;
  return (progress) => {
    const quarter = Math.floor(4 * progress);
    if (quarter > spoken && performance.now() - begun > SPEAK_AFTER_MS) screen.announce(`${25 * quarter} percent.`);
    spoken = Math.max(spoken, quarter);
  };
}
