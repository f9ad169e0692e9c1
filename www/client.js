// The API of unnoise in a browser: what the page itself uses and what `npm i unnoise` gives. Types: client.d.ts.
//
//   import { load } from 'unnoise';
//   const model = await load('google/ddpm-cifar10-32', { onProgress: console.log });
//   for await (const step of model.generate({ steps: 50, seed: 42, count: 16 })) draw(step.rgba, step.width, step.height);
//   await model.dispose();
//
// Everything heavy happens in one worker (worker.js), made when first needed.

import { UnnoiseError, unpack } from './errors.js';

export { UnnoiseError, explain } from './errors.js';

let worker = null;
let calls = new Map();
let next = 1;

function start() {
  if (worker) return worker;
  const made = new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'unnoise' });
  let heard = false;
  made.onmessage = ({ data: { id, hello, event, result, error } }) => {
    heard ||= hello;
    const call = calls.get(id);
    if (!call) return;
    if (event) return call.onEvent?.(event);
    if (error) {
      call.reject(unpack(error));
      if (error.fatal) stop(new UnnoiseError('internal', 'The engine stopped.', error.detail));
    } else {
      call.resolve(result);
    }
    if (!call.keep || error) calls.delete(id);
  };
  // The module or something it imports could not be fetched or parsed.
  made.onerror = (event) => {
    event.preventDefault?.();
    if (worker === made) stop(new UnnoiseError('engine', 'The worker or its wasm module could not be started.', event.message ?? ''));
  };
  worker = made;
  doubt(made, () => heard);
  return made;
}

// Firefox says nothing when an import of a worker fails: so a silent worker is looked into.
async function doubt(made, heard) {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 3000));
    if (worker !== made || heard()) return;
    const there = await fetch(new URL('../pkg/unnoise.js', import.meta.url)).then(({ ok }) => ok, () => false);
    if (!there && worker === made && !heard()) return stop(new UnnoiseError('engine', 'pkg/unnoise.js could not be fetched.'));
  }
}

// A worker that failed is never used again: the next call makes a new one.
function stop(error) {
  worker?.terminate();
  worker = null;
  const open = calls;
  calls = new Map();
  for (const call of open.values()) call.reject(error);
}

function ask(call, message, { onEvent, signal, keep = false, transfer = [] } = {}) {
  const id = next++;
  const result = new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(new UnnoiseError('aborted', 'Stopped.'));
    const owner = start();
    const abort = () => owner.postMessage({ id, call: 'abort' });
    signal?.addEventListener('abort', abort);
    const settle = (how) => (value) => {
      signal?.removeEventListener('abort', abort);
      how(value);
    };
    calls.set(id, { resolve: settle(resolve), reject: settle(reject), onEvent, keep });
    owner.postMessage({ id, call, ...message }, transfer);
  });
  return { id, result };
}

/** Loads a model. See client.d.ts. */
export async function load(source, { onProgress, signal, dtype, revision, hub } = {}) {
  const message = { dtype, revision, hub, page: globalThis.document?.baseURI };
  if (typeof source === 'string') message.source = source;
  else [message.source, message.files] = listed(source);
  const { id, result } = ask('load', message, { onEvent: onProgress, signal, keep: true });
  const { info, gpu } = await result;
  return new Model(id, info, gpu);
}

// FileList, File[] or {path: Blob} -> a name and {path: Blob}.
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

class Model {
  #id;
  #worker = worker;

  constructor(id, info, gpu) {
    this.#id = id;
    this.info = info;
    this.gpu = gpu;
  }

  /** Makes pictures, step by step. See client.d.ts. */
  generate(options = {}, { signal } = {}) {
    if (worker !== this.#worker) throw new UnnoiseError('bad-request', 'This model was disposed of.');
    return new Generation(this.#id, options, signal);
  }

  async dispose() {
    calls.delete(this.#id);
    if (worker === this.#worker) await ask('dispose', { model: this.#id }).result;
    this.#worker = null;
  }
}

class Generation {
  #id;
  #queue = [];
  #wake = null;
  #state = 'running';
  #error = null;
  #stop = new AbortController();

  constructor(model, { preview = [], raw = false, classLabel = null, sampler = 'ddim', steps = 50, eta = 0, seed = 0, count = 1, first, spacing, height, width }, signal) {
    const request = { sampler, steps, eta, seed, count, class: classLabel, first, spacing, height, width };
    signal?.addEventListener('abort', () => this.#stop.abort(), { once: true });
    if (signal?.aborted) this.#stop.abort();
    const { id, result } = ask('generate', { model, request, preview: [preview].flat(), raw }, {
      signal: this.#stop.signal,
      onEvent: (event) => this.#push(event),
    });
    this.#id = id;
    result.then(() => this.#end(null), (error) => this.#end(error));
  }

  /** Which views the coming steps carry: 'x_t', 'pred_x0', both in a list, or [] for none. */
  show(preview) {
    worker?.postMessage({ id: this.#id, call: 'preview', preview: [preview].flat() });
  }

  #push(event) {
    if (event.pictures) event.rgba = Object.values(event.pictures)[0];
    this.#queue.push(event);
    this.#wake?.();
  }

  #end(error) {
    this.#state = 'ended';
    this.#error = error;
    this.#wake?.();
  }

  async next() {
    while (!this.#queue.length && this.#state === 'running') await new Promise((resolve) => (this.#wake = resolve));
    if (this.#queue.length) return { value: this.#queue.shift(), done: false };
    const error = this.#error;
    this.#error = null;
    if (error) throw error;
    return { value: undefined, done: true };
  }

  // Leaving a `for await` loop early stops the work.
  async return(value) {
    this.#stop.abort();
    this.#queue.length = 0;
    return { value, done: true };
  }

  [Symbol.asyncIterator]() {
    return this;
  }
}

/** x_T of a seed as a picture shows it, before there is a model or even a GPU. See client.d.ts. */
export const noise = ({ seed, first = 0, count, channels, height, width }) =>
  ask('noise', { seed, first, count, channels, height, width }).result;

/** Name, backend, class and limits of the GPU that will be used. */
export const gpu = () => ask('gpu', {}).result;

/** Deletes every model the browser keeps for this site; resolves to the number of bytes freed. */
export const forgetModels = () => ask('forgetAll', {}).result;

/** Destroys the GPU device as if the system had taken it: to test what happens then. */
export const loseDevice = () => ask('lose', {}).result;
