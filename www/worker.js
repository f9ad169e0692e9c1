// The worker: owns the wasm module, the GPU and the models. The page and npm users talk to it through client.js.
//
// Messages in:  {id, call, ...arguments} and {id, call: 'abort'}.
// Messages out: {id, event}* followed by one of {id, result} or {id, error}.
//
// A GPU device can be taken away at any time (driver reset, sleep, a watchdog). Then a new one is asked for, every model
// is loaded again from where it came from (its files are in the browser's cache), and a run starts again from its seed:
// the same noise, so the same pictures.

import { UnnoiseError, pack } from './errors.js';
import { aborted, forget, forgetAll, fromFiles, fromUrl, gather, locate } from './model-cache.js';

// A run that loses the device this often is what makes it get lost: give up instead of resetting the machine for ever.
const LOSSES_PER_RUN = 5;
const RETRIES_MS = [0, 100, 400, 1500];
// A GPU that is silent for so long will not speak again.
const REQUEST_MS = 30_000;
const SLICE_MS = 180_000;

const jobs = new Map();
const models = new Map();
let engine = null;
let device = null;

const post = (id, message, transfer = []) => self.postMessage({ id, ...message }, transfer);

/**
 * The wasm module; a fetch that failed is tried again next time. Imported here and not above: Firefox tells nobody when
 * a worker's own imports cannot be fetched.
 */
const ready = () => (engine ??= import('../pkg/unnoise.js').then(async (module) => {
  await module.default();
  return module;
}).catch((error) => {
  engine = null;
  throw new UnnoiseError('engine', 'The wasm module could not be started.', String(error));
}));

// Lets messages (abort!) in between two slices of GPU work, and keeps Firefox's queue moving.
const channel = new MessageChannel();
const waiting = [];
channel.port1.onmessage = () => waiting.shift()?.();
const breathe = () => new Promise((resolve) => {
  waiting.push(resolve);
  channel.port2.postMessage(0);
});

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function within(ms, work, late) {
  let timer;
  const over = new Promise((_, reject) => (timer = setTimeout(() => reject(late()), ms)));
  return Promise.race([work, over]).finally(() => clearTimeout(timer));
}

/** The one device of this worker, asked for when first needed and again after a loss. */
function open() {
  if (device) return device;
  const opened = request().catch((error) => {
    if (device === opened) device = null;
    throw error;
  });
  return (device = opened);
}

async function request() {
  const { Gpu } = await ready();
  if (!self.navigator?.gpu) throw new UnnoiseError('no-webgpu', 'navigator.gpu is absent.');
  const gpu = await within(REQUEST_MS, Gpu.request('{}'), () => new UnnoiseError('no-adapter', 'The GPU did not answer.'));
  const opened = { gpu, info: JSON.parse(gpu.info), lost: null, watchers: new Set() };
  gpu.lost().then((reason) => lose(opened, reason));
  return opened;
}

// Right after a loss the system may have no adapter for a moment.
async function reopen() {
  for (const [i, ms] of RETRIES_MS.entries()) {
    await sleep(ms);
    try {
      return await open();
    } catch (error) {
      if (i === RETRIES_MS.length - 1 || error.code !== 'no-adapter') throw error;
    }
  }
  throw new UnnoiseError('no-adapter', 'The GPU did not come back.');
}

function lose(opened, reason) {
  if (opened.lost !== null) return opened.lost;
  opened.lost = reason || 'unknown reason';
  device = null;
  for (const fail of opened.watchers) fail(new UnnoiseError('device-lost', opened.lost));
  for (const model of models.values()) {
    if (model.built && model.built.device === opened) {
      post(model.job, { event: { status: 'lost', reason: opened.lost } });
      release(model);
      model.ready = start(model);
    }
  }
  return opened.lost;
}

/** Builds a model again after a loss. When even that fails, whoever generates next tries once more and sees why. */
function start(model) {
  const building = build(model, undefined, reopen);
  building.catch(() => {
    if (model.ready === building) model.ready = null;
  });
  return building;
}

function release(model) {
  try {
    model.built?.wasm.free();
  } catch {
    // Still borrowed by a call that is about to fail with the lost device; the memory goes with it.
  }
  model.built = null;
}

/** Fetches and compiles. Progress goes to the job that asked for the model first. */
async function build(model, signal, opener = open) {
  const report = (event) => post(model.job, { event: { name: model.name, ...event } });
  const opening = opener();
  opening.catch(() => {});
  const get = model.files ? fromFiles(model.files, report) : fromUrl(model.place, report, signal);
  // No GPU is known within milliseconds: say so before megabytes are fetched.
  const failed = opening.then(() => new Promise(() => {}));
  const onConfig = (config) => report({ status: 'config', config });
  const { paths, contents } = await Promise.race([gather(get, { dtype: model.dtype, where: model.name, onConfig }), failed]);
  const hash = await digest(paths, contents);
  const bytes = contents.reduce((sum, file) => sum + file.length, 0);
  const { Model } = await ready();
  let opened = await opening;
  for (let losses = 0; ; ) {
    if (signal?.aborted) throw aborted();
    try {
      const compiling = Model.load(opened.gpu, paths, contents, (done, total) => report({ status: 'compile', done, total }));
      const watcher = watch(opened);
      const wasm = await watcher.watched(compiling).finally(watcher.end);
      if (signal?.aborted) {
        wasm.free();
        throw aborted();
      }
      model.built = { wasm, device: opened, info: { name: model.name, hash, bytes, ...JSON.parse(wasm.info) } };
      report({ status: 'ready' });
      return model.built;
    } catch (error) {
      if (wasLost(opened, error) && losses < LOSSES_PER_RUN) {
        losses += 1;
        report({ status: 'lost', reason: lose(opened, error.message) });
        opened = await reopen();
        continue;
      }
      if (!model.files && (error.code === 'bad-file' || error.code === 'bad-config')) await forget(model.place.base);
      throw error;
    }
  }
}

const wasLost = (opened, error) => opened.lost !== null || error.code === 'device-lost';

/**
 * Work on a lost device may never end: `watched` gives the outcome of some work or fails with the loss. `end` forgets the
 * watcher, so that a device that lives long does not gather them.
 */
function watch(opened) {
  let fail;
  const lost = new Promise((_, reject) => (fail = reject));
  lost.catch(() => {});
  opened.watchers.add(fail);
  if (opened.lost !== null) fail(new UnnoiseError('device-lost', opened.lost));
  return { watched: (work) => Promise.race([work, lost]), end: () => opened.watchers.delete(fail) };
}

// The first ten digits of the SHA-256 of the weights, as image tools write a "Model hash".
async function digest(paths, contents) {
  const i = paths.findIndex((path) => path.endsWith('.safetensors'));
  if (i < 0 || !self.crypto?.subtle) return null;
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', contents[i]));
  return Array.from(hash.subarray(0, 5), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

async function load(id, { source, files, dtype, revision, hub, page }, signal) {
  const place = files ? null : locate(source, { revision, hub, page });
  const model = { job: id, name: files ? source : place.name, place, files, dtype, built: null, ready: null };
  models.set(id, model);
  try {
    model.ready = build(model, signal);
    const { info, device: opened } = await model.ready;
    return { info, gpu: opened.info };
  } catch (error) {
    models.delete(id);
    throw error;
  }
}

async function generate(id, { model: owner, request: wanted, preview, raw }, signal) {
  const model = models.get(owner);
  if (!model) throw new UnnoiseError('bad-request', 'This model was disposed of.');
  const job = jobs.get(id);
  job.preview = preview;
  const stopped = new Promise((_, reject) => signal.addEventListener('abort', () => reject(aborted())));
  stopped.catch(() => {});
  for (let losses = 0; ; ) {
    model.ready ??= start(model);
    const built = await Promise.race([model.ready, stopped]);
    try {
      return await once(id, job, built, wanted, raw, signal);
    } catch (error) {
      if (signal.aborted || !wasLost(built.device, error)) throw error;
      const reason = lose(built.device, error.message);
      losses += 1;
      if (losses > LOSSES_PER_RUN) throw new UnnoiseError('device-lost', 'The GPU was lost again and again.', reason);
      post(id, { event: { restarted: losses, reason } });
    }
  }
}

async function once(id, job, { wasm, device: opened, info }, wanted, raw, signal) {
  const { watched, end } = watch(opened);
  const alive = (work) => watched(within(SLICE_MS, work, () => new UnnoiseError('device-lost', 'The GPU stopped answering.')));
  const run = await alive(wasm.start(JSON.stringify(wanted))).catch((error) => {
    end();
    throw error;
  });
  const { width, height } = { width: wanted.width ?? info.width, height: wanted.height ?? info.height };
  const shape = { width, height, count: wanted.count };
  // Steps are told in their order. A read-back takes longer than a step on some browsers; meanwhile steps go by unseen.
  const queue = [];
  let looking = null;
  let failure = null;
  const flush = () => {
    while (queue.length && queue[0].event) {
      const { event, transfer } = queue.shift();
      post(id, { event }, transfer);
    }
  };
  const look = async (kinds) => {
    const views = await Promise.all(kinds.map((kind) => run.picture(kind)));
    const pictures = {};
    kinds.forEach((kind, i) => (pictures[kind] = clamped(views[i])));
    return pictures;
  };
  try {
    const started = performance.now();
    let first = null;
    let seen = 0;
    for (;;) {
      const at = JSON.parse(await alive(run.advance()));
      if (signal.aborted) throw aborted();
      if (failure) throw failure;
      const now = performance.now();
      // Pictures that do not fit the GPU's memory together are made batch after batch.
      const batch = at.batch ?? (at.image || wanted.count);
      const batches = Math.ceil(wanted.count / batch);
      const done = Math.floor((at.image ?? 0) / batch) * at.steps + at.step;
      if (done !== seen && !at.done) {
        seen = done;
        // The first step pays for warming up; the pace is that of the others.
        first ??= { done, now };
        const itPerSecond = done > first.done ? ((done - first.done) * 1000) / (now - first.now) : undefined;
        const left = batches * at.steps - done;
        const event = { ...at, ...shape, batch, progress: done / (done + left), itPerSecond, secondsLeft: itPerSecond && left / itPerSecond };
        const entry = { event: null, transfer: [] };
        queue.push(entry);
        if (!looking && job.preview.length) {
          looking = look(job.preview).then((pictures) => {
            entry.event = { ...event, pictures };
            entry.transfer = Object.values(pictures).map((pixels) => pixels.buffer);
          }, (error) => (failure = error)).then(() => {
            looking = null;
            flush();
          });
        } else {
          entry.event = event;
          flush();
        }
      }
      if (at.done) {
        if (looking) await alive(looking);
        if (failure) throw failure;
        const [rgba, x_0] = await alive(Promise.all([run.picture('x_t'), raw ? run.x_0() : undefined]));
        const seconds = (performance.now() - started) / 1000;
        const event = { ...at, ...shape, done: true, progress: 1, itPerSecond: (batches * at.steps) / seconds, secondsLeft: 0, seconds, rgba: clamped(rgba), x_0 };
        post(id, { event }, [event.rgba.buffer, ...(x_0 ? [x_0.buffer] : [])]);
        return null;
      }
      await breathe();
    }
  } finally {
    end();
    // A read-back under way keeps what it needs of the run.
    run.free();
  }
}

const clamped = (bytes) => new Uint8ClampedArray(bytes.buffer, bytes.byteOffset, bytes.byteLength).slice();

const calls = {
  load,
  generate,
  async gpu() {
    return (await open()).info;
  },
  async noise(id, { seed, first, count, channels, height, width }) {
    const { noise_rgba } = await ready();
    return clamped(noise_rgba(seed, first, count, channels, height, width));
  },
  async dispose(id, { model: owner }) {
    const model = models.get(owner);
    models.delete(owner);
    if (model) release(model);
    return null;
  },
  async lose() {
    const opened = await open();
    opened.gpu.destroy();
    lose(opened, 'destroyed');
    return null;
  },
  forgetAll,
};

self.onmessage = async ({ data }) => {
  const { id, call } = data;
  if (call === 'abort') return jobs.get(id)?.controller.abort();
  if (call === 'preview') {
    const job = jobs.get(id);
    if (job) job.preview = data.preview;
    return;
  }
  const controller = new AbortController();
  jobs.set(id, { controller, preview: [] });
  try {
    post(id, { result: await calls[call](id, data, controller.signal) });
  } catch (error) {
    post(id, { error: pack(error) });
  } finally {
    jobs.delete(id);
  }
};

// Tells the client that everything was imported: not every browser reports it when that fails.
self.postMessage({ hello: true });
