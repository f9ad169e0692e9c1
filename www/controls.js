// The controls of a run: puts the settings into them and reads what a visitor changes.

import { BUNDLED, STEPS_MAX, check } from './state.js';
import { store } from './store.js';
import { nameOf, plural } from './words.js';

/** @import { Settings } from './state.js' */

const STEP_STOPS = [1, 2, 4, 5, 10, 20, 25, 40, 50, 75, 100, 150, 200, 250, 300, 500, 750, 1000];

/** A random seed that is short enough to remember. */
export const anySeed = () => crypto.getRandomValues(new Uint32Array(1))[0] % 1000000;

/** Fills a slider up to its value. */
export function fillOf(range) {
  range.style.setProperty('--fill', `${(100 * (range.value - range.min)) / (range.max - range.min || 1)}%`);
}

/**
 * @param {Record<string, any>} ui elements by id
 * @param {() => Settings} now the settings
 * @param {{set: (change: Partial<Settings>) => void, again: () => void, announce: (text: string) => void}} acts `again`: the
 *   current seed was typed once more, so its run is wanted again
 * @returns {{put: (files: Iterable<string>) => void}} puts the settings into the controls; `files` are models of this visit
 */
export function makeControls(ui, now, { set, again, announce }) {
  function put(files) {
    const state = now();
    const fill = (element, value) => {
      if (element.value !== String(value) && document.activeElement !== element) element.value = value;
    };
    fill(ui.seed, state.seed);
    fill(ui.steps, state.steps);
    fill(ui.eta, state.eta);
    fill(ui.class, state.classLabel ?? 0);
    ui['steps-range'].value = String(STEP_STOPS.reduce((best, stop, i) => (Math.abs(stop - state.steps) < Math.abs(STEP_STOPS[best] - state.steps) ? i : best), 0));
    ui['steps-range'].setAttribute('aria-valuetext', plural(state.steps, 'step'));
    ui['eta-value'].textContent = state.eta.toFixed(2);
    for (const name of ['count', 'sampler', 'show']) ui[`${name}-${state[name]}`].checked = true;
    fillOf(ui['steps-range']);
    fillOf(ui.eta);

    const recent = (store.read('models') ?? []).filter((id) => typeof id === 'string' && check('model', id) && !id.startsWith('files:'));
    const ids = [...new Set([...BUNDLED.map(({ id }) => id), ...recent, ...files, state.model])];
    ui.model.replaceChildren(...ids.map((id) => new Option(nameOf(id), id, false, id === state.model)), new Option('Bring your own…', 'own'));
  }

  function read(input, key) {
    const value = check(key, input.value);
    input.setAttribute('aria-invalid', String(value === undefined));
    if (value !== undefined && value !== now()[key]) set({ [key]: value });
    else if (value !== undefined && key === 'seed') again();
  }

  ui.seed.addEventListener('input', () => read(ui.seed, 'seed'));
  ui.dice.addEventListener('click', () => {
    const seed = anySeed();
    ui.seed.value = String(seed);
    ui.seed.setAttribute('aria-invalid', 'false');
    set({ seed });
    announce(`Seed ${seed}.`);
  });
  ui.steps.addEventListener('input', () => read(ui.steps, 'steps'));
  ui['steps-range'].addEventListener('input', () => {
    const steps = Math.min(STEPS_MAX, STEP_STOPS[Number(ui['steps-range'].value)]);
    ui.steps.setAttribute('aria-invalid', 'false');
    set({ steps });
  });
  ui.eta.addEventListener('input', () => read(ui.eta, 'eta'));
  ui.class.addEventListener('input', () => {
    const value = check('classLabel', ui.class.value);
    const fine = value !== undefined && value <= Number(ui.class.max);
    ui.class.setAttribute('aria-invalid', String(!fine));
    if (fine) set({ classLabel: value });
  });
  // A number that is not accepted is corrected when its field loses the focus.
  for (const [id, key] of [['seed', 'seed'], ['steps', 'steps'], ['class', 'classLabel']]) {
    ui[id].addEventListener('blur', () => {
      ui[id].value = String(now()[key] ?? 0);
      ui[id].setAttribute('aria-invalid', 'false');
    });
  }
  for (const name of ['count', 'sampler', 'show']) {
    for (const input of /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll(`input[name=${name}]`))) {
      input.addEventListener('change', () => set({ [name]: check(name, input.value), ...(name === 'count' && { image: null }) }));
    }
  }

  return { put };
}
