// The models of this worker. After the device is lost, each is built again from its source: its files are in the browser's
// cache, or the visitor's files are still held.

import { UnnoiseError } from '../errors.js';
import { aborted, forget, fromFiles, fromUrl, gather, locate } from '../model-cache.js';
import { free, lose, open, ready, reopen, wasLost, watch, whenLost } from './device.js';

/** @import { ModelInfo } from '../client.js' */
/** @import { Calls, Job } from '../messages.js' */
/** @import { Device } from './device.js' */
/**
 * @typedef {{ wasm: import('../../pkg/unnoise.js').Model, device: Device, info: ModelInfo }} Built a model on a device
 *
 * @typedef {object} Model
 * @property {Job<'load'>} job its events tell the model's state
 * @property {string} name
 * @property {{base: string, hub: string|null, pinned: boolean}|null} place where it is fetched from
 * @property {Record<string, Blob>} [files] or what it is read from
 * @property {'f16'|'f32'} [dtype]
 * @property {Built|null} built
 * @property {Promise<Built>|null} ready
 * @property {boolean} disposed
 */

// A model with which the device is lost this often is the cause: give up instead of resetting the GPU forever.
export const LOSSES = 5;

/** @type {Map<number, Model>} */
const models = new Map();

whenLost((device) => {
  for (const model of models.values()) {
    if (model.built?.device !== device) continue;
    tell(model, { status: 'lost', code: 'device-lost', reason: device.lost });
    release(model);
    model.ready = rebuild(model);
  }
});

const tell = (model, event) => model.job.tell({ name: model.name, ...event });

/**
 * @param {Calls['load']['arguments']} given
 * @param {Job<'load'>} job
 */
export async function load({ source, files, dtype, revision, hub, page, again }, job) {
  const located = files ? null : locate(source, { revision, hub, page });
  /** @type {Model} */
  const model = { job, name: located?.name ?? source, place: located, files, dtype, built: null, ready: null, disposed: false };
  models.set(job.id, model);
  try {
    model.ready = build(model, open);
    const { info, device } = await model.ready;
    return { info, gpu: device.info };
  } catch (error) {
    model.ready = null;
    if (!again) models.delete(job.id);
    throw error;
  }
}

/**
 * A model on the current device.
 * @param {number} id
 */
export async function use(id) {
  const model = models.get(id);
  if (!model) throw new UnnoiseError('bad-request', 'This model was disposed of.');
  return (model.ready ??= rebuild(model));
}

/** @param {{ model: number }} given */
export async function dispose({ model: id }) {
  const model = models.get(id);
  models.delete(id);
  if (model) {
    model.disposed = true;
    release(model);
  }
  return null;
}

/** Builds a model again. If that also fails, the next run tries once more and gets the reason. */
function rebuild(model) {
  const building = build(model, reopen);
  building.catch(() => {
    if (model.ready === building) model.ready = null;
  });
  return building;
}

function release(model) {
  free(model.built?.wasm);
  model.built = null;
}

/**
 * Fetches and compiles a model.
 * @param {Model} model
 * @param {() => Promise<Device>} opener
 * @returns {Promise<Built>}
 */
async function build(model, opener) {
  const { signal } = model.job;
  const opening = opener();
  opening.catch(() => {});
  const files = await fetched(model, opening);
  const hash = await digest(files);
  const bytes = files.contents.reduce((sum, file) => sum + file.length, 0);
  const { Model } = await ready();
  let device = await opening;
  for (let losses = 0; ; ) {
    if (signal.aborted) throw aborted();
    try {
      const compiling = Model.load(device.gpu, files.paths, files.contents, (done, total) => tell(model, { status: 'compile', done, total }));
      const watcher = watch(device);
      const wasm = await watcher.watched(compiling).finally(watcher.end);
      if (signal.aborted || model.disposed) {
        free(wasm);
        throw aborted();
      }
      model.built = { wasm, device, info: { name: model.name, hash, bytes, ...JSON.parse(wasm.info) } };
      tell(model, { status: 'ready' });
      return model.built;
    } catch (error) {
      if (wasLost(device, error) && losses < LOSSES) {
        losses += 1;
        tell(model, { status: 'lost', code: 'device-lost', reason: lose(device, error.message) });
        device = await reopen();
        continue;
      }
      if (model.place && (error.code === 'bad-file' || error.code === 'bad-config')) await forget(model.place.base);
      throw error;
    }
  }
}

/** The files of a model. If there is no GPU, that is known within milliseconds and reported before megabytes are fetched. */
function fetched(model, opening) {
  const report = (event) => tell(model, event);
  const get = model.files ? fromFiles(model.files, report) : fromUrl(model.place, report, model.job.signal);
  const onConfig = (config) => report({ status: 'config', config });
  const failed = opening.then(() => new Promise(() => {}));
  return Promise.race([gather(get, { dtype: model.dtype, where: model.name, onConfig }), failed]);
}

/** The first ten digits of the SHA-256 of the weights, which is what image tools write as "Model hash". */
async function digest({ paths, contents }) {
  const i = paths.findIndex((path) => path.endsWith('.safetensors'));
  if (i < 0 || !self.crypto?.subtle) return null;
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', contents[i]));
  return Array.from(hash.subarray(0, 5), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
