// The network in a browser, against diffusers: every U-Net fixture through the wasm module, so that every shader
// variant that a browser's adapter takes really runs there. The reference is diffusers' output in f64.
//
// The browsers that tests run in have software adapters. So one fixture, and a network that is wide enough for sums in
// parts, also run with the kernels that a card takes.

import assert from "node:assert/strict";
import { promises as fs } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";

import { PATIENCE, launch } from "./browser.mjs";
import { FIXTURES, ROOT, readSafetensors, serveFiles } from "./server.mjs";

const EMOJI = "www/models/emoji-16";
const UNETS = path.join(FIXTURES, "unets");

// Absolute, except for fourier time embeddings. These feed random multiples of log t to sin and cos, where diffusers' own
// f32 differs from f64 by 1e-4.
const TOLERANCE = 1e-4;
const FOURIER_TOLERANCE = 1e-3;

// The crate does not run this network. It refuses it by name, which native tests check.
const REFUSED = new Set(["ncsnpp-skip"]);

const LEARNED = JSON.stringify({ _class_name: "DDPMScheduler", variance_type: "learned_range" });

let server;
let browser;
let page;
let card; // the same page, where the adapter says that it is a card

before(async () => {
  server = await serveFiles();
  browser = await launch();
  page = await open();
  card = await open(pretend, "nvidia");
});

/** A page with a module and a device of its own; `first` runs in it before anything else. */
async function open(first = () => {}, vendor = "") {
  const page = await browser.newPage();
  await page.evaluateOnNewDocument(first, vendor);
  await page.goto(`${server.origin}/tests/web/numbers.html`);
  await page.waitForFunction(() => document.title === "ready", { timeout: PATIENCE });
  return page;
}

/** In the page: the adapter gives the name of another, and the names of the shaders are recorded. */
function pretend(vendor) {
  const other = { vendor, architecture: "", device: "", description: "", isFallbackAdapter: false };
  for (const [key, value] of Object.entries(other)) {
    Object.defineProperty(GPUAdapterInfo.prototype, key, { get: () => value });
  }
  window.shaders = [];
  const make = GPUDevice.prototype.createShaderModule;
  GPUDevice.prototype.createShaderModule = function (descriptor) {
    window.shaders.push(descriptor.label);
    return make.call(this, descriptor);
  };
}

after(async () => {
  await browser?.close();
  await server?.close();
});

async function files(folder, below = "") {
  const found = [];
  for (const entry of await fs.readdir(path.join(folder, below), { withFileTypes: true })) {
    const name = below ? `${below}/${entry.name}` : entry.name;
    if (entry.isDirectory()) found.push(...(await files(folder, name)));
    else if (/(^|\/)(model_index|config|scheduler_config)\.json$|diffusion_pytorch_model\.safetensors$/.test(name)) found.push(name);
  }
  return found.sort();
}

/** The tensors of an io.safetensors as f32, no matter how they are stored. */
async function tensors(file) {
  const bytes = await fs.readFile(file);
  const { header, data } = readSafetensors(bytes);
  const read = { F32: "readFloatLE", I32: "readInt32LE" };
  const result = {};
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const [begin, end] = entry.data_offsets;
    const width = 4;
    assert.ok(read[entry.dtype], `${name} is ${entry.dtype}`);
    const values = new Float32Array((end - begin) / width);
    for (let i = 0; i < values.length; i++) values[i] = bytes[read[entry.dtype]](data + begin + i * width);
    result[name] = values;
  }
  return result;
}

const encode = (values) => values && Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString("base64");

function decode(text) {
  const bytes = Buffer.from(text, "base64");
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}

/** The largest distance; all values are finite. */
function distance(have, want) {
  assert.equal(have.length, want.length);
  let worst = 0;
  for (let k = 0; k < want.length; k++) {
    assert.ok(Number.isFinite(have[k]), `value ${k} is ${have[k]}`);
    worst = Math.max(worst, Math.abs(have[k] - want[k]));
  }
  return worst;
}

/** Compares a network with diffusers, in this page. */
async function compare(page, name) {
  const folder = path.join(UNETS, name);
  const paths = await files(folder);
  const io = await tensors(path.join(folder, "io.safetensors"));
  const batches = ["b1", "b3"];
  const cases = batches.map((batch) => ({
    sample: encode(io[`${batch}.sample`]),
    timesteps: encode(io[`${batch}.timesteps`]),
    labels: encode(io[`${batch}.class_labels`]),
  }));
  const config = JSON.parse(await fs.readFile(path.join(folder, paths.find((file) => /(^|\/)config\.json$/.test(file)))));
  // A network with twice the channels is loaded with the scheduler that it was made for.
  const scheduler = config.out_channels === 2 * config.in_channels ? LEARNED : null;
  const outputs = await page.evaluate((...args) => window.predict(...args),
    `/tests/fixtures/unets/${name}`, paths, cases, scheduler);

  for (const [i, batch] of batches.entries()) {
    const want = io[`${batch}.output_f64`];
    const fourier = config.time_embedding_type === "fourier";
    const largest = want.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const worst = distance(decode(outputs[i]), want);
    const allowed = fourier ? FOURIER_TOLERANCE * largest : TOLERANCE;
    assert.ok(worst <= allowed, `${batch}: ${worst} from diffusers' f64 output, at most ${allowed} allowed`);
  }
}

const names = (await fs.readdir(UNETS, { withFileTypes: true }))
  .filter((entry) => entry.isDirectory() && !REFUSED.has(entry.name))
  .map((entry) => entry.name)
  .sort();

test("there are fixtures to compare with", () => assert.ok(names.length >= 25, `${names.length} fixtures`));

for (const name of names) {
  test(`${name} as diffusers computes it`, { timeout: PATIENCE }, () => compare(page, name));
}

test("a card's kernels: tiny as diffusers computes it", { timeout: PATIENCE }, async () => {
  await compare(card, "tiny");
  assert.equal(await card.evaluate(() => window.kind), "discrete");
  const shaders = await card.evaluate(() => window.shaders);
  assert.ok(shaders.includes("nn/conv2d_tiled") && !shaders.includes("nn/conv2d_direct"), shaders.join(" "));
});

test("an AMD GPU that is as slow as an APU is not taken for a card", { timeout: PATIENCE }, async () => {
  const apu = await open(pretend, "amd");
  await compare(apu, "tiny");
  assert.equal(await apu.evaluate(() => window.kind), "integrated");
  assert.ok((await apu.evaluate(() => window.shaders)).includes("bench/fma"));
  await apu.close();
});

test("a card's kernels: sums in parts, and the other kernels of the bundled model, give the same", { timeout: PATIENCE }, async () => {
  const folder = path.join(ROOT, EMOJI);
  const paths = await files(folder);
  const sample = new Float32Array(3 * 16 * 16).map((_, i) => 2 * Math.sin(i * i));
  const cases = [500, 20].map((t) => ({ sample: encode(sample), timesteps: encode(new Float32Array([t])) }));
  const predict = (page) => page.evaluate((...args) => window.predict(...args), `/${EMOJI}`, paths, cases, null);
  const [software, parts] = [await predict(page), await predict(card)];
  assert.ok((await card.evaluate(() => window.shaders)).includes("nn/conv2d_sum"));
  for (const i of cases.keys()) {
    const worst = distance(decode(parts[i]), decode(software[i]));
    assert.ok(worst <= TOLERANCE, `t = ${decode(cases[i].timesteps)[0]}: ${worst} apart`);
  }
});
