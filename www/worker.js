// The worker: it owns the wasm module, the GPU and the models. Pages talk to it through client.js and link.js.
// messages.d.ts lists the messages, worker/device.js opens the GPU, worker/models.js builds models and worker/run.js
// generates.

import { isCrash, pack } from './errors.js';
import { forgetAll } from './model-cache.js';
import { loseDevice, open, ready } from './worker/device.js';
import { dispose, load } from './worker/models.js';
import { clamped, generate } from './worker/run.js';

/** @import { CallName, Calls, Job, Reply, Request } from './messages.js' */

/** @type {{ [K in CallName]: (given: Calls[K]['arguments'], job: Job<K>) => Promise<Calls[K]['result']> }} */
const calls = {
  load,
  generate,
  dispose,
  forgetAll,
  async gpu() {
    return (await open()).info;
  },
  async noise({ seed, first, count, channels, height, width }) {
    const { noise_rgba } = await ready();
    return clamped(noise_rgba(seed, first, count, channels, height, width));
  },
  async lose() {
    await loseDevice();
    return null;
  },
};

/** @type {Map<number, Job & { stop: AbortController }>} */
const jobs = new Map();

/** @type {(reply: Reply, transfer?: Transferable[]) => void} */
const post = (reply, transfer = []) => self.postMessage(reply, { transfer });

/** @param {MessageEvent<Request>} message */
self.onmessage = async ({ data }) => {
  const { id } = data;
  if (data.call === 'abort') return jobs.get(id)?.stop.abort();
  if (data.call === 'preview') {
    const job = jobs.get(id);
    if (job) job.preview = data.preview;
    return;
  }
  const stop = new AbortController();
  const job = { id, stop, signal: stop.signal, preview: [], tell: (event, transfer) => post({ id, event }, transfer) };
  jobs.set(id, job);
  try {
    const call = /** @type {(given: object, job: Job) => Promise<unknown>} */ (calls[data.call]);
    post({ id, result: await call(data, job) });
  } catch (error) {
    post({ id, error: pack(error) });
  } finally {
    jobs.delete(id);
  }
};

// A trap inside a callback belongs to no call, and what waited for it would wait forever, so the page must be told.
self.addEventListener('error', (event) => {
  event.preventDefault();
  post({ crashed: pack(event.error ?? event.message) });
});
self.addEventListener('unhandledrejection', (event) => {
  if (isCrash(event.reason)) post({ crashed: pack(event.reason) });
});

post({ hello: true });
