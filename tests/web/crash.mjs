// Makes the engine crash when a test asks for it. The server adds a few lines to pkg/unnoise.js on its way to the browser;
// the page and the module are as they are in production.

export const ENGINE = "/pkg/unnoise.js";

/** How an engine can crash. Each is code that runs before `Run.advance`, or instead of it. */
export const CRASHES = {
  "a trap": "trap();",
  // A trap inside a callback ends no call, so what waits for it waits forever.
  "a trap in a callback": "setTimeout(trap); return new Promise(() => {});",
  // A panic in Rust: wgpu unwraps what the browser throws, here when pictures are copied out. It happens in a callback, too.
  "a panic": `GPUCommandEncoder.prototype.copyBufferToBuffer = () => { throw new TypeError("a synthetic error"); };`,
  // What a browser reports when its driver fails, dispatched on the device itself.
  "an internal error of the GPU": `device.dispatchEvent(new GPUUncapturedErrorEvent("uncapturederror", {
    error: new GPUInternalError("a synthetic error"), cancelable: true,
  }));`,
};

/** What is told about each. */
export const REASONS = {
  "a trap": /unreachable/,
  "a trap in a callback": /unreachable/,
  "a panic": /panicked at .*\n.*a synthetic error/,
  "an internal error of the GPU": /the graphics driver failed: a synthetic error/,
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

/**
 * Crashes at the `nth` advance of every worker.
 * @param {Awaited<ReturnType<typeof import("./server.mjs").serveFiles>>} server
 * @param {number} nth
 * @param {keyof typeof CRASHES} how
 */
export function crashEachTime(server, nth, how) {
  change(server, `
    let advances = 0;
    function due() { advances += 1; return advances === ${nth}; }`, CRASHES[how]);
}

function change(server, due, crash) {
  server.changed.set(ENGINE, (text) => `${text}
    ${due}
    function trap() { new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array([${TRAP}]))).exports.f(); }
    let device;
    const request = GPUAdapter.prototype.requestDevice;
    GPUAdapter.prototype.requestDevice = async function (...given) {
      return (device = await request.apply(this, given));
    };
    const advance = Run.prototype.advance;
    Run.prototype.advance = function () {
      if (due()) { ${crash} }
      return advance.call(this);
    };`);
}
