// The API of unnoise in a browser: what the page itself uses, and what `npm i unnoise` gives. Its types are in client.d.ts.
//
//   import { load } from 'unnoise';
//   const model = await load('google/ddpm-cifar10-32', { onProgress: console.log });
//   for await (const step of model.generate({ steps: 50, seed: 42, count: 16 })) console.log(step.step);
//   await model.dispose();
//
// Everything heavy happens in one worker (worker.js), which link.js starts when it is first needed.

import { UnnoiseError } from './errors.js';
import { ask, forget, preview } from './link.js';

/** @import * as Api from './client.js' */
/** @import { RunRequest } from './messages.js' */

export { UnnoiseError, explain } from './errors.js';

/**
 * Loads a model. See client.d.ts.
 * @type {typeof Api.load}
 */
export async function load(source, { onProgress, signal, dtype, revision, hub } = {}) {
  const [name, files] = typeof source === 'string' ? [source, undefined] : listed(source);
  const { id, result } = ask('load', { source: name, files, dtype, revision, hub, page: globalThis.document?.baseURI }, {
    onEvent: onProgress,
    onCrash: ({ message }) => onProgress?.({ name, status: 'lost', code: 'internal', reason: message }),
    signal,
    keep: true,
  });
  const { info, gpu } = await result;
  return new Model(id, info, gpu);
}

/**
 * Chosen files, or paths with contents, as a name and paths with contents.
 * @returns {[string, Record<string, Blob>]}
 */
function listed(source) {
  const list = typeof source?.length === 'number' ? Array.from(source) : null;
  const files = list ? Object.fromEntries(list.map((file) => [file.webkitRelativePath || file.name, file])) : { ...source };
  const paths = Object.keys(files);
  if (!paths.length || !Object.values(files).every((file) => file instanceof Blob)) {
    throw new UnnoiseError('bad-request', 'There are no files to load.');
  }
  const top = new Set(paths.map((path) => path.replace(/^\/+/, '').split('/')[0]));
  return [top.size === 1 && paths[0].includes('/') ? [...top][0] : 'local files', files];
}

/** @implements {Api.Model} */
class Model {
  #id;
  #disposed = false;

  /**
   * @param {number} id
   * @param {Api.ModelInfo} info
   * @param {Api.GpuInfo} gpu
   */
  constructor(id, info, gpu) {
    this.#id = id;
    this.info = info;
    this.gpu = gpu;
  }

  /**
   * Makes pictures, step by step. See client.d.ts.
   * @type {Api.Model['generate']}
   */
  generate(options = {}, { signal } = {}) {
    if (this.#disposed) throw new UnnoiseError('bad-request', 'This model was disposed of.');
    return new Generation(this.#id, options, signal);
  }

  async dispose() {
    if (this.#disposed) return;
    this.#disposed = true;
    forget(this.#id);
    await ask('dispose', { model: this.#id }).result;
  }
}

/** @implements {Api.Generation} */
class Generation {
  #id;
  /** @type {(Api.Step | Api.Restart)[]} */
  #queue = [];
  /** @type {(() => void) | null} */
  #wake = null;
  #ended = false;
  #error = null;
  #restarts = 0;
  #stop = new AbortController();

  /**
   * @param {number} model
   * @param {Api.GenerateOptions} options
   * @param {AbortSignal} [signal]
   */
  constructor(model, { preview = [], raw = false, classLabel = null, sampler = 'ddim', steps = 50, eta = 0, seed = 0, count = 1, first, spacing, height, width }, signal) {
    /** @type {RunRequest} */
    const request = { sampler, steps, eta, seed, count, class: classLabel, first, spacing, height, width };
    const abort = () => this.#stop.abort();
    signal?.addEventListener('abort', abort);
    if (signal?.aborted) abort();
    const { id, result } = ask('generate', { model, request, preview: [preview].flat(), raw }, {
      signal: this.#stop.signal,
      onEvent: (event) => this.#push(event),
      onCrash: ({ message }) => this.#push({ restarted: 1, code: 'internal', reason: message }),
    });
    this.#id = id;
    const end = (error) => {
      signal?.removeEventListener('abort', abort);
      this.#end(error);
    };
    result.then(() => end(null), end);
  }

  /**
   * Which views the coming steps carry: 'x_t', 'pred_x0', both in a list, or [] for none.
   * @param {Api.View | Api.View[]} views
   */
  show(views) {
    preview(this.#id, [views].flat());
  }

  /** @param {Api.Step | Api.Restart} event */
  #push(event) {
    // Each worker counts only the restarts that it sees; the caller gets the number of all.
    if (event.restarted) event.restarted = this.#restarts += 1;
    else if ('pictures' in event && event.pictures) event.rgba = Object.values(event.pictures)[0];
    this.#queue.push(event);
    this.#wake?.();
  }

  #end(error) {
    this.#ended = true;
    this.#error = error;
    this.#wake?.();
  }

  /** @returns {Promise<IteratorResult<Api.Step | Api.Restart>>} */
  async next() {
    while (!this.#queue.length && !this.#ended) await new Promise((resolve) => (this.#wake = () => resolve(undefined)));
    const value = this.#queue.shift();
    if (value) return { value, done: false };
    const error = this.#error;
    this.#error = null;
    if (error) throw error;
    return { value: undefined, done: true };
  }

  /** Leaving a `for await` loop early stops the work. */
  async return(value) {
    this.#stop.abort();
    this.#queue.length = 0;
    return { value, done: /** @type {const} */ (true) };
  }

  [Symbol.asyncIterator]() {
    return this;
  }
}

/**
 * x_T of a seed, as it is shown. It needs no model and no GPU. See client.d.ts.
 * @type {typeof Api.noise}
 */
export const noise = ({ seed, first = 0, count, channels, height, width }) =>
  ask('noise', { seed, first, count, channels, height, width }).result;

/**
 * Name, backend, class and limits of the GPU that will be used.
 * @type {typeof Api.gpu}
 */
export const gpu = () => ask('gpu', {}).result;

/**
 * Deletes every model that the browser keeps for this site; resolves to the number of bytes freed.
 * @type {typeof Api.forgetModels}
 */
export const forgetModels = () => ask('forgetAll', {}).result;

/**
 * Destroys the GPU device as if the system had taken it away: to test what happens then.
 * @type {typeof Api.loseDevice}
 */
export const loseDevice = () => ask('lose', {}).result.then(() => {});
