// The page's end of the worker: starts it when it is first needed, sends calls, matches the answers to them, and recovers
// when it crashes.
//
// A crash is a trap of the wasm module, an error with the code `internal`, or an error outside any call. Nothing that such
// a worker holds can be trusted, so it is never used again. A new one gets the calls that have not ended, and loads the
// models that are still in use: their files are in the browser's cache, and a run starts again from its seed.

import { UnnoiseError, unpack } from './errors.js';

/** @import { CallName, Calls, Reply, Request } from './messages.js' */
/** @import { View } from './client.js' */
/**
 * @typedef {object} Handlers
 * @property {(event: any) => void} [onEvent]
 * @property {(error: UnnoiseError) => void} [onCrash] the worker crashed and the call begins again in a new one
 * @property {AbortSignal} [signal]
 * @property {boolean} [keep] the call continues after its result, as a loaded model does
 *
 * @typedef {object} Call
 * @property {any} message
 * @property {(result: any) => void} resolve
 * @property {(error: Error) => void} reject
 * @property {Handlers} handlers
 * @property {Worker|null} sentTo
 * @property {boolean} pending has neither result nor error yet
 * @property {number} crashes crashes of the worker since this call last got further
 * @property {number} farthest the greatest progress of this run
 */

// A call is sent again after up to this many crashes in a row. If it still gets no further, it fails.
const CRASHES = 2;
const HELLO_MS = 3000;

/** @type {Worker|null} */
let worker = null;
let next = 1;
/** @type {Map<number, Call>} calls in progress and models in use, in the order in which they were made */
const calls = new Map();

/**
 * Sends a call.
 * @template {CallName} K
 * @param {K} call
 * @param {Calls[K]['arguments']} given
 * @param {Handlers} [handlers]
 * @returns {{ id: number, result: Promise<Calls[K]['result']> }}
 */
export function ask(call, given, handlers = {}) {
  const id = next++;
  const { signal } = handlers;
  const result = new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(stopped());
    const abort = () => worker?.postMessage({ id, call: 'abort' });
    signal?.addEventListener('abort', abort);
    const settle = (how) => (value) => {
      signal?.removeEventListener('abort', abort);
      entry.pending = false;
      how(value);
    };
    /** @type {Call} */
    const entry = {
      message: { id, call, ...given }, resolve: settle(resolve), reject: settle(reject), handlers, sentTo: null, pending: true, crashes: 0, farthest: 0,
    };
    calls.set(id, entry);
    send(entry);
  });
  return { id, result };
}

/** Forgets a call that was kept: its events are no longer reported. */
export const forget = (id) => calls.delete(id);

/**
 * Changes the views that a run's steps carry, in this worker and in one that replaces it.
 * @param {number} id
 * @param {View[]} preview
 */
export function preview(id, preview) {
  const call = calls.get(id);
  if (!call) return;
  call.message.preview = preview;
  worker?.postMessage({ id, call: 'preview', preview });
}

const stopped = () => new UnnoiseError('aborted', 'Stopped.');

function send(call) {
  worker ??= start();
  const model = calls.get(call.message.model);
  if (model && model.sentTo !== worker) send(model);
  call.sentTo = worker;
  try {
    worker.postMessage(call.pending ? call.message : { ...call.message, again: true });
  } catch (error) {
    calls.delete(call.message.id);
    call.reject(new UnnoiseError('bad-request', 'Something in this call cannot be sent to a worker.', String(error)));
  }
}

function start() {
  const made = new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'unnoise' });
  let heard = false;
  /** @param {MessageEvent<Reply>} message */
  made.onmessage = ({ data }) => {
    heard = true;
    if (made === worker) receive(data);
  };
  made.onmessageerror = () => {
    if (made === worker) crash('A message from the worker could not be read.');
  };
  made.onerror = (event) => {
    event.preventDefault();
    if (made !== worker) return;
    if (heard) crash(event.message ?? '');
    else unusable(event.message ?? '');
  };
  doubt(made, () => heard);
  return made;
}

/** Firefox reports nothing when a worker's import fails, so a silent worker is checked. */
async function doubt(made, heard) {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, HELLO_MS));
    if (made !== worker || heard()) return;
    const there = await fetch(new URL('../pkg/unnoise.js', import.meta.url)).then(({ ok }) => ok, () => false);
    if (!there && made === worker && !heard()) return unusable('pkg/unnoise.js could not be fetched.');
  }
}

/** @param {Reply} reply */
function receive(reply) {
  if ('crashed' in reply) return crash(reply.crashed.message, reply.crashed.detail);
  if ('hello' in reply) return;
  const call = calls.get(reply.id);
  if (!call) return;
  if ('event' in reply) {
    const progress = 'progress' in reply.event ? reply.event.progress : 0;
    if (progress > call.farthest) Object.assign(call, { farthest: progress, crashes: 0 });
    tell(call.handlers.onEvent, reply.event);
  } else if ('result' in reply) {
    call.crashes = 0;
    if (!call.handlers.keep) calls.delete(reply.id);
    call.resolve(reply.result);
  } else if (reply.error.code === 'internal') {
    crash(reply.error.message, reply.error.detail);
  } else if (call.pending) {
    calls.delete(reply.id);
    call.reject(unpack(reply.error));
  }
  // What remains is a model in use that could not be loaded again. The next run on it tries once more and gets the reason.
}

/** If one of the caller's handlers throws, it must not stop the others. */
function tell(handler, event) {
  try {
    handler?.(event);
  } catch (error) {
    reportError(error);
  }
}

/** Gives the worker up. A call that has crashed too often fails; the others begin again in a new worker. */
function crash(message, detail = '') {
  const error = new UnnoiseError('internal', `The engine stopped: ${message}`, detail);
  console.warn(`unnoise: ${error.message}\n${detail}`);
  discard();
  const again = [];
  for (const [id, call] of calls) {
    call.crashes += 1;
    if (call.pending && (call.handlers.signal?.aborted || call.crashes > CRASHES)) {
      calls.delete(id);
      call.reject(call.handlers.signal?.aborted ? stopped() : error);
    } else if (call.crashes <= CRASHES) {
      again.push(call);
    }
    // What remains is a model that crashes the worker each time it is loaded. The next run on it loads it.
  }
  for (const call of again) {
    tell(call.handlers.onCrash, error);
    if (call.sentTo !== worker || !worker) send(call);
  }
}

/** The worker, or something that it imports, could not be fetched or parsed. */
function unusable(detail) {
  discard();
  for (const [id, call] of calls) {
    if (!call.pending) continue;
    calls.delete(id);
    call.reject(new UnnoiseError('engine', 'The worker or its wasm module could not be started.', detail));
  }
}

function discard() {
  worker?.terminate();
  worker = null;
}
