// Generating: a run is started on the model, advanced slice by slice, and reported step by step. If the device is lost
// meanwhile, the run starts again from its seed: the same noise gives the same pictures.

import { UnnoiseError } from '../errors.js';
import { aborted } from '../model-cache.js';
import { free, lose, wasLost, watch, within } from './device.js';
import { LOSSES, use } from './models.js';

/** @import { View } from '../client.js' */
/** @import { Calls, Job, RunRequest } from '../messages.js' */
/** @import { Built } from './models.js' */
/** @import { Run } from '../../pkg/unnoise.js' */
/** @typedef {<T>(work: Promise<T>) => Promise<T>} Alive the outcome of some work, unless the device is lost or silent */

// A slice of work takes milliseconds. A GPU that is silent for this long will not answer any more.
const SLICE_MS = 180_000;

/**
 * @param {Calls['generate']['arguments']} given
 * @param {Job<'generate'>} job
 */
export async function generate({ model, request, preview, raw }, job) {
  job.preview = preview;
  /** @type {Promise<never>} */
  const stopped = new Promise((_, reject) => job.signal.addEventListener('abort', () => reject(aborted())));
  stopped.catch(() => {});
  for (let losses = 0; ; ) {
    const built = await Promise.race([use(model), stopped]);
    try {
      return await attempt(built, request, raw, job);
    } catch (error) {
      if (job.signal.aborted || !wasLost(built.device, error)) throw error;
      const reason = lose(built.device, error.message);
      losses += 1;
      if (losses > LOSSES) throw new UnnoiseError('device-lost', 'The GPU was lost again and again.', reason);
      job.tell({ restarted: losses, code: 'device-lost', reason });
    }
  }
}

/**
 * One run on one device, from the noise to the pictures.
 * @param {Built} built
 * @param {RunRequest} request
 * @param {boolean} raw
 * @param {Job<'generate'>} job
 */
async function attempt({ wasm, device, info }, request, raw, job) {
  const { watched, end } = watch(device);
  const silent = () => new UnnoiseError('device-lost', 'The GPU stopped answering.');
  /** @type {Alive} */
  const alive = (work) => watched(within(SLICE_MS, work, silent));
  try {
    /** @type {Run} */
    const run = await alive(wasm.start(JSON.stringify(request)));
    const shape = { width: request.width ?? info.width, height: request.height ?? info.height, count: request.count };
    const teller = makeTeller(run, job);
    try {
      return await drive(run, alive, shape, raw, job, teller);
    } finally {
      teller.close();
      free(run);
    }
  } finally {
    end();
  }
}

/**
 * Advances a run to its end, and reports its steps.
 * @param {Run} run
 * @param {Alive} alive
 * @param {{ width: number, height: number, count: number }} shape
 * @param {boolean} raw
 * @param {Job<'generate'>} job
 * @param {ReturnType<typeof makeTeller>} teller
 */
async function drive(run, alive, shape, raw, job, teller) {
  const clock = makeClock(shape.count);
  for (;;) {
    const at = JSON.parse(await alive(run.advance()));
    if (job.signal.aborted) throw aborted();
    if (at.done) {
      await alive(teller.settled());
      const [rgba, x_0] = await alive(Promise.all([picture(run, 'x_t'), raw ? run.x_0() : undefined]));
      job.tell({ ...at, ...shape, ...clock.total(at), done: true, rgba, x_0 }, x_0 ? [rgba.buffer, x_0.buffer] : [rgba.buffer]);
      return null;
    }
    const times = clock.step(at);
    if (times) teller.tell({ ...at, ...shape, ...times });
    await breathe();
  }
}

/**
 * Counts and times steps. Pictures that do not fit the GPU's memory together are made in batches, one after another, each
 * with all its steps. The time is measured over all batches.
 * @param {number} count pictures in the run
 */
function makeClock(count) {
  const begun = performance.now();
  /** @type {{ done: number, now: number }|null} */
  let first = null;
  let seen = 0;
  const inAll = (at) => Math.ceil(count / at.batch) * at.steps;
  return {
    /** What a new step says about the whole run; null if the step has already been reported. */
    step(at) {
      const done = Math.floor(at.image / at.batch) * at.steps + at.step;
      if (done === seen) return null;
      seen = done;
      const now = performance.now();
      // The first step includes warming up. The pace is measured from the others.
      first ??= { done, now };
      const itPerSecond = done > first.done ? ((done - first.done) * 1000) / (now - first.now) : undefined;
      return { progress: done / inAll(at), itPerSecond, secondsLeft: itPerSecond && (inAll(at) - done) / itPerSecond };
    },
    /** What the last item says. */
    total(at) {
      const seconds = (performance.now() - begun) / 1000;
      return { progress: 1, itPerSecond: inAll(at) / seconds, secondsLeft: 0, seconds };
    },
  };
}

/**
 * Reports steps in their order, with the requested views. In some browsers reading a view back takes longer than a step;
 * steps that are done meanwhile are reported after it, without pictures.
 * @param {Run} run
 * @param {Job<'generate'>} job
 */
function makeTeller(run, job) {
  /** @type {Promise<void>|null} the read-back in progress */
  let looking = null;
  let failure = null;
  let closed = false;
  const behind = []; // steps that wait for it

  async function look(event, views) {
    const seen = await Promise.all(views.map((view) => picture(run, view)));
    if (closed) return;
    const pictures = Object.fromEntries(views.map((view, i) => [view, seen[i]]));
    job.tell({ ...event, pictures }, seen.map((pixels) => pixels.buffer));
    for (const later of behind.splice(0)) job.tell(later);
  }

  return {
    tell(event) {
      if (failure) throw failure;
      if (looking) behind.push(event);
      else if (!job.preview.length) job.tell(event);
      else looking = look(event, job.preview).catch((error) => (failure = error)).then(() => void (looking = null));
    },
    async settled() {
      await looking;
      if (failure) throw failure;
    },
    /** Nothing is reported after the run has ended or begun again. */
    close() {
      closed = true;
    },
  };
}

/**
 * All pictures as they are now.
 * @param {Run} run
 * @param {View} view
 */
const picture = async (run, view) => clamped(await run.picture(view));

/**
 * Pixels in their own memory, which can be transferred to the page.
 * @param {Uint8Array} bytes
 */
export const clamped = (bytes) => new Uint8ClampedArray(bytes.buffer, bytes.byteOffset, bytes.byteLength).slice();

// Lets messages, such as an abort, arrive between two slices of GPU work, and keeps Firefox's queue moving.
const channel = new MessageChannel();
const waiting = [];
channel.port1.onmessage = () => waiting.shift()?.();
const breathe = () => new Promise((resolve) => {
  waiting.push(resolve);
  channel.port2.postMessage(0);
});
