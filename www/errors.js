// Errors in words. Every failure that reaches the page or an npm user is an `UnnoiseError` with one of the codes below.
// `explain` turns it into what happened, what to do next, and the detail to copy.

/** An error with a code that a program can act on, a sentence for a person, and a detail for a bug report. */
export class UnnoiseError extends Error {
  /**
   * @param {import('./client.js').ErrorCode} code
   * @param {string} message what happened, as a sentence
   * @param {string} [detail] what a bug report needs
   */
  constructor(code, message, detail = '') {
    super(message);
    this.name = 'UnnoiseError';
    this.code = code;
    this.detail = detail;
  }
}

/**
 * Whether an error means that the engine cannot be used any more: after a trap or an internal error, the state of the wasm
 * module is unknown.
 */
export const isCrash = (error) => error instanceof WebAssembly.RuntimeError || error?.code === 'internal';

/**
 * An error in a form that can be sent from the worker to the page.
 * @returns {import('./messages.js').PackedError}
 */
export const pack = (error) => ({
  code: error?.code ?? (error?.name === 'AbortError' ? 'aborted' : 'internal'),
  message: String(error?.message ?? error),
  detail: error?.detail || (error?.code && error.code !== 'internal' ? '' : String(error?.stack ?? '')),
});

/** @param {import('./messages.js').PackedError} packed */
export const unpack = ({ code, message, detail }) => new UnnoiseError(code, message, detail);

const BROWSERS = 'Chrome and Edge have it from version 113, Safari from 26 and Firefox from 141. On Linux it may need to be switched on.';

/**
 * For each code: what happened (null: the message says it best), what to do, and what the main button then does.
 * @type {Record<string, [string|null, string, 'retry'|'reload'|'generate']>}
 */
const WORDS = {
  'no-webgpu': ['This browser has no WebGPU.', BROWSERS, 'reload'],
  'no-adapter': [
    'This browser has WebGPU, but found no GPU that it may use.',
    'Check that graphics acceleration is on in the browser’s settings. On Linux, WebGPU may need to be switched on.',
    'reload',
  ],
  'insecure-page': [
    'This page was opened over plain http from another machine. Browsers allow WebGPU only over https and on localhost.',
    'Open the page over https, or serve it on this machine.',
    'reload',
  ],
  'device-lost': [
    'The system reset the GPU several times in a row.',
    'Try fewer pictures at a time, or close other programs that use the GPU.',
    'retry',
  ],
  'too-large': [null, 'Try the f16 version, fewer pictures at a time, or a smaller model.', 'retry'],
  'out-of-memory': [
    'The GPU ran out of memory.',
    'Try fewer pictures at a time or a smaller model, or close other programs that use the GPU.',
    'retry',
  ],
  'bad-file': [null, 'The file may be damaged, or belong to another model. Download it again, or choose another one.', 'retry'],
  'bad-config': [null, 'The config may belong to another checkpoint.', 'retry'],
  unsupported: [null, 'Choose another model.', 'retry'],
  'bad-request': [null, 'Change the settings and try again.', 'generate'],
  'not-finite': [
    'The picture overflowed: the model gave values that are not finite.',
    'Try more steps or another sampler. If no settings help, the model’s weights are damaged.',
    'generate',
  ],
  network: [null, 'Check the connection and the address, then try again.', 'retry'],
  'not-found': [null, 'Check the name, or choose another model.', 'retry'],
  forbidden: [null, 'Download it with your account, then drop its folder here.', 'retry'],
  engine: [
    'The engine of this page, pkg/unnoise.js, could not be started.',
    'If you serve the page yourself, build it with scripts/serve.sh. Otherwise reload the page.',
    'reload',
  ],
  internal: [
    'An internal error stopped the engine of this page, and starting it again did not help. This is a bug in unnoise.',
    'Try again, or choose other settings. If it keeps happening, please report it with the detail.',
    'retry',
  ],
};

/**
 * The engine's messages are clauses, as Rust's are. As sentences they begin with a capital and end with a full stop; a
 * file or tensor at the beginning keeps its name.
 * @param {string} text
 */
export function sentence(text) {
  const said = /[.!?)]$/.test(text) ? text : `${text}.`;
  return /^[a-z]+([ ,]|: )/.test(said) ? said[0].toUpperCase() + said.slice(1) : said;
}

/**
 * An error in plain words.
 * @type {typeof import('./client.js').explain}
 */
export function explain(error) {
  const { code: packed, message, detail } = pack(error);
  const code = packed === 'no-webgpu' && !globalThis.isSecureContext ? 'insecure-page' : packed;
  const [what, todo, act] = WORDS[code] ?? WORDS.internal;
  // If the engine's sentence already says what to do, no more advice is needed.
  const advised = what === null && /\b(try|choose|use|check|convert)\b/i.test(message);
  return {
    code,
    what: what ?? sentence(message),
    todo: advised ? '' : todo,
    act,
    detail: [`${code}: ${message}`, detail, navigator.userAgent].filter(Boolean).join('\n'),
  };
}
