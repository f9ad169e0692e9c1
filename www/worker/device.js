// The wasm module and the one GPU device of this worker.
//
// A device can be lost at any time: by a driver reset, sleep or a watchdog. Code that works on it learns of the loss
// through `watch`, and `reopen` requests a new one.

import { UnnoiseError, isCrash } from '../errors.js';

/** @import { GpuInfo } from '../client.js' */
/**
 * @typedef {object} Device
 * @property {import('../../pkg/unnoise.js').Gpu} gpu
 * @property {GpuInfo} info
 * @property {string|null} lost why it was lost
 * @property {Set<(error: Error) => void>} watchers
 */

// Right after a loss the system may have no adapter for a moment.
const RETRIES_MS = [0, 100, 400, 1500];
// A GPU that has been silent for this long will not answer any more.
const REQUEST_MS = 30_000;

/** @type {Promise<typeof import('../../pkg/unnoise.js')>|null} */
let engine = null;
/** @type {Promise<Device>|null} */
let device = null;
/** @type {(lost: Device) => void} */
let onLoss = () => {};

/**
 * The wasm module. It is imported here, not at the top, because Firefox reports nothing if a worker's own imports cannot be
 * fetched. A failed fetch is tried again the next time.
 */
export function ready() {
  return (engine ??= import('../../pkg/unnoise.js').then(async (module) => {
    await module.default();
    return module;
  }).catch((error) => {
    engine = null;
    throw new UnnoiseError('engine', 'The wasm module could not be started.', String(error));
  }));
}

const sleep = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * The outcome of `work`, or `late()` as an error after `ms`.
 * @template T
 * @param {number} ms
 * @param {Promise<T>} work
 * @param {() => Error} late
 * @returns {Promise<T>}
 */
export function within(ms, work, late) {
  let timer;
  const over = new Promise((_, reject) => (timer = setTimeout(() => reject(late()), ms)));
  return Promise.race([work, over]).finally(() => clearTimeout(timer));
}

/** The device, opened when it is first needed and again after a loss. */
export function open() {
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
  /** @type {Device} */
  const opened = { gpu, info: JSON.parse(gpu.info), lost: null, watchers: new Set() };
  gpu.lost().then((reason) => lose(opened, reason));
  return opened;
}

/** The device after a loss. */
export async function reopen() {
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

/** Calls `act` once for each device that is lost. */
export function whenLost(act) {
  onLoss = act;
}

/**
 * Marks a device as lost and tells all its watchers.
 * @param {Device} opened
 * @param {string} [reason]
 * @returns {string} the reason that was given first
 */
export function lose(opened, reason) {
  if (opened.lost !== null) return opened.lost;
  opened.lost = reason || 'unknown reason';
  device = null;
  for (const fail of opened.watchers) fail(new UnnoiseError('device-lost', opened.lost));
  onLoss(opened);
  return opened.lost;
}

/** Destroys the device, as if the system had taken it away. */
export async function loseDevice() {
  const opened = await open();
  opened.gpu.destroy();
  lose(opened, 'destroyed');
}

/** Whether an error means that the device is gone. A crash on a lost device is still a crash. */
export const wasLost = (opened, error) => !isCrash(error) && (opened.lost !== null || error.code === 'device-lost');

/**
 * Frees an object of the module. An object that a pending call still borrows cannot be freed; its memory is freed with that
 * call.
 * @param {{ free: () => void }|undefined} object
 */
export function free(object) {
  try {
    object?.free();
  } catch (error) {
    if (isCrash(error)) throw error;
  }
}

/**
 * Watches a device, because work on a lost device may never end. `watched` gives the outcome of some work, or fails when the
 * device is lost. `end` stops watching, so that a long-lived device does not accumulate watchers.
 * @param {Device} opened
 * @returns {{ watched: <T>(work: Promise<T>) => Promise<T>, end: () => void }}
 */
export function watch(opened) {
  let fail;
  const lost = new Promise((_, reject) => (fail = reject));
  lost.catch(() => {});
  opened.watchers.add(fail);
  if (opened.lost !== null) fail(new UnnoiseError('device-lost', opened.lost));
  return { watched: (work) => Promise.race([work, lost]), end: () => opened.watchers.delete(fail) };
}
