// Errors of the GPU that belong to no call, in the module by itself: each is reported once, with its code, and the work
// continues. A browser reports an internal error when its driver fails; here the test does.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { launch } from "./browser.mjs";
import { serveFiles } from "./server.mjs";

const TINY = "/tests/fixtures/unets/tiny";
const LIMIT = { timeout: 400_000 };

let server;
let browser;
let page;

before(async () => {
  server = await serveFiles();
  browser = await launch();
  page = await browser.newPage();
  // Any page of this server that does not load the module by itself.
  await page.goto(`${server.origin}/tests/web/client.html`);
  await page.evaluate(prepare, TINY);
}, LIMIT);

after(async () => {
  await browser?.close();
  await server?.close();
});

/** In the page: a network to evaluate, and the browser's own device under it. */
async function prepare(folder) {
  const { default: init, Gpu, Model } = await import("/pkg/unnoise.js");
  await init();
  const request = GPUAdapter.prototype.requestDevice;
  GPUAdapter.prototype.requestDevice = async function (...given) {
    window.device = await request.apply(this, given);
    return window.device;
  };
  const files = ["config.json", "diffusion_pytorch_model.safetensors"];
  const contents = [];
  for (const file of files) contents.push(new Uint8Array(await (await fetch(`${folder}/${file}`)).arrayBuffer()));
  const gpu = await Gpu.request("{}");
  window.info = JSON.parse(gpu.info);
  const model = await Model.load(gpu, files, contents, () => {});
  const { channels, height, width } = JSON.parse(model.info);
  const sample = new Float32Array(channels * height * width).map((_, i) => Math.sin(i));
  window.evaluate = () => model.predict(sample, new Float32Array([500]), undefined, height, width);
  window.expected = await window.evaluate();
}

/** In the page: reports an error, evaluates twice, and says how that went. */
async function report(kind, message) {
  const error = new window[kind](message);
  window.device.dispatchEvent(new GPUUncapturedErrorEvent("uncapturederror", { error, cancelable: true }));
  const told = await window.evaluate().then(() => null, ({ code, message }) => ({ code, message }));
  const output = await window.evaluate();
  return { told, same: output.every((value, i) => value === window.expected[i]) };
}

describe("an error that no scope caught", () => {
  for (const [kind, code, sentence] of [
    ["GPUInternalError", "internal", /^the graphics driver failed: out of registers$/],
    ["GPUValidationError", "internal", /^the graphics driver refused: out of registers$/],
    ["GPUOutOfMemoryError", "out-of-memory", /^out of GPU memory: a GPU command$/],
  ]) {
    test(`${kind}: told once, and the next evaluation is right`, LIMIT, async () => {
      const { told, same } = await page.evaluate(report, kind, "out of registers");
      assert.equal(told?.code, code);
      assert.match(told.message, sentence);
      assert.ok(same);
    });
  }
});

test("the software adapters of the browsers are known as such", LIMIT, async (t) => {
  const { name, class: kind } = await page.evaluate(() => window.info);
  if (!/swiftshader|llvmpipe|lavapipe|warp/i.test(name)) return t.skip(`the adapter is "${name}"`);
  assert.equal(kind, "software");
});
