// Makes the engine crash when a test asks for it. The server adds a few lines to pkg/unnoise.js on its way to the browser;
// the page and the module are as they are in production.

export const ENGINE = "/pkg/unnoise.js";

/** How an engine can crash. Each is code that runs instead of `Run.advance`. */
export const CRASHES = {
  "a trap": "trap();",
  // A trap inside a callback ends no call, so what waits for it waits forever.
  "a trap in a callback": "setTimeout(trap); return new Promise(() => {});",
  "an internal error": "throw Object.assign(new Error('a synthetic error'), { code: 'internal' });",
};

// A module with one function, whose body is `unreachable`: (module (func (export "f") unreachable)).
const TRAP = [0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, 5, 1, 3, 0, 0, 11];

/**
 * Crashes at the next `advance` after a page has sent something on the channel "crash".
 * @param {Awaited<ReturnType<typeof import("./server.mjs").serveFiles>>} server
 * @param {keyof typeof CRASHES} how
 */
export function crashWhenTold(server, how) {
  change(server, `
    let told = false;
    new BroadcastChannel("crash").onmessage = () => (told = true);
    function due() { const now = told; told = false; return now; }`, CRASHES[how]);
}

/** Crashes at the `nth` advance of every worker. */
export function crashEachTime(server, nth) {
  change(server, `
    let advances = 0;
    function due() { advances += 1; return advances === ${nth}; }`, CRASHES["a trap"]);
}

function change(server, due, crash) {
  server.changed.set(ENGINE, (text) => `${text}
    ${due}
    function trap() { new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array([${TRAP}]))).exports.f(); }
    const advance = Run.prototype.advance;
    Run.prototype.advance = function () {
      if (due()) { ${crash} }
      return advance.call(this);
    };`);
}
