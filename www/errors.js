// Trouble, in words. Every failure that can reach the page or an npm user is an `UnnoiseError` with one of the codes
// below; `explain` turns it into what happened, what to do next and the detail to copy.

/** An error with a code that a program can act on, a sentence for a person, and a detail for a bug report. */
export class UnnoiseError extends Error {
  /**
   * @param {string} code one of the codes in `client.d.ts`
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

/** What can cross a worker boundary. */
export const pack = (error) => ({
  code: error.code ?? (error.name === 'AbortError' ? 'aborted' : 'internal'),
  message: String(error.message ?? error),
  detail: error.detail || (error.code ? '' : String(error.stack ?? error)),
  // A trap leaves the wasm instance in an unknown state: it must not be used again.
  fatal: error instanceof WebAssembly.RuntimeError,
});

export const unpack = ({ code, message, detail }) => new UnnoiseError(code, message, detail);

const BROWSERS = 'Chrome or Edge 113+, Safari 26+ or Firefox 141+ have it; on Linux it may need to be switched on.';

// code -> what happened (null: the message says it best), what to do, and the act the main button then offers.
const WORDS = {
  'no-webgpu': ['This browser has no WebGPU.', BROWSERS, 'reload'],
  'no-adapter': [
    'This browser has WebGPU, but found no GPU it may use.',
    'Check that graphics acceleration is on in the browser’s settings; on Linux, WebGPU may need to be switched on.',
    'reload',
  ],
  'insecure-page': [
    'This page was opened over plain http from another machine, and browsers give WebGPU only to https and to localhost.',
    'Open it by https, or serve it on this machine.',
    'reload',
  ],
  'device-lost': [
    'The GPU was reset by the system, again and again.',
    'Fewer pictures at a time, or closing other programs that use the GPU, may help.',
    'retry',
  ],
  'too-large': [null, 'Try the f16 version, fewer pictures at a time, or a smaller model.', 'retry'],
  'out-of-memory': [
    'The GPU ran out of memory.',
    'Try fewer pictures at a time or a smaller model, or close other programs that use the GPU.',
    'retry',
  ],
  'bad-file': [null, 'The file may be damaged or belong to another model. Fetch it again, or choose another one.', 'retry'],
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
  internal: ['Something went wrong inside this page. That is our fault.', 'Try again; if it comes back, please report the detail.', 'retry'],
};

// The engine's messages are clauses, as Rust's are: as a sentence they begin with a capital and end with a stop. A file
// or a tensor at the beginning keeps its name.
function sentence(text) {
  const said = /[.!?)]$/.test(text) ? text : `${text}.`;
  return /^[a-z]+([ ,]|: )/.test(said) ? said[0].toUpperCase() + said.slice(1) : said;
}

/**
 * An error in plain words.
 * @param {unknown} error
 * @returns {{code: string, what: string, todo: string, act: 'retry'|'reload'|'generate', detail: string}}
 */
export function explain(error) {
  const { message, detail } = pack(error);
  let { code } = pack(error);
  if (code === 'no-webgpu' && !globalThis.isSecureContext) code = 'insecure-page';
  const [what, todo, act] = WORDS[code] ?? WORDS.internal;
  const said = what === null ? sentence(message) : what;
  // A sentence from the engine that already says what to do needs no second piece of advice.
  const advised = what === null && /\b(try|choose|use|check|convert)\b/i.test(message);
  return {
    code,
    what: said,
    todo: advised ? '' : todo,
    act,
    detail: [`${code}: ${message}`, detail, navigator.userAgent].filter(Boolean).join('\n'),
  };
}
