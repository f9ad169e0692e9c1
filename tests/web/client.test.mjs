// www/client.js, the API that the page uses and npm users get, on small models: loading from a folder, from a server like
// the hub and from files; runs, their reproducibility, stopping them, and losing the device under them.

import assert from "node:assert/strict";
import { promises as fs } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";

import { PATIENCE, launch } from "./browser.mjs";
import { CRASHES, ENGINE, REASONS, crashEachTime, crashWhenTold } from "./crash.mjs";
import { FIXTURES, corruptShape, serveFiles, serveHub, withNan } from "./server.mjs";

const TINY = "/tests/fixtures/unets/tiny/";
const WEIGHTS = "diffusion_pytorch_model.safetensors";
const TINY_FILES = ["config.json", WEIGHTS];
const LIMIT = { timeout: PATIENCE };

let server;
let hub;
let browser;
let page;

before(async () => {
  server = await serveFiles();
  hub = await serveHub();
  browser = await launch();
  page = await openClient();
});

after(async () => {
  await browser?.close();
  await server?.close();
  await hub?.close();
});

async function openClient() {
  const page = await browser.newPage();
  await page.goto(`${server.origin}/tests/web/client.html`);
  await page.waitForFunction(() => document.title === "ready", { timeout: PATIENCE });
  return page;
}

const open = (source, options) => page.evaluate((...args) => window.open(...args), source, options);
const run = (source, options, act = null) => page.evaluate((...args) => window.run(...args), source, options, act);
const attempt = (source, options = {}, abortAfterBytes = null) =>
  page.evaluate((...args) => window.attempt(...args), source, options, abortAfterBytes);
const fromHub = (repository, ...rest) => attempt(repository, { hub: hub.origin }, ...rest);
const fromFiles = (paths, replaced) =>
  page.evaluate((...args) => window.attemptFiles(...args), TINY.slice(0, -1), paths, replaced ?? {});

async function tiny() {
  const opened = await open(TINY);
  assert.ifError(opened.error && JSON.stringify(opened.error));
  return opened;
}

/** A run that must end well. */
async function ran(options, act) {
  await tiny();
  const result = await run(TINY, options, act);
  assert.ifError(result.error && JSON.stringify(result.error));
  return result;
}

/** A load that must fail with this code and say these things. */
function failed({ error }, code, ...parts) {
  assert.ok(error, `expected ${code}, but it loaded`);
  assert.equal(error.name, "UnnoiseError");
  assert.equal(error.code, code, JSON.stringify(error));
  for (const part of parts) assert.match(`${error.message}\n${error.detail}`, part);
  const { what, todo } = error.words;
  assert.match(what, /^\S.*[.!)]$/s, `a sentence: ${what}`);
  assert.doesNotMatch(what + todo, /undefined|\[object|null/);
}

describe("loading", () => {
  test("a folder: what the model is, and how it went", LIMIT, async () => {
    const { info, gpu, events } = await tiny();
    assert.deepEqual([info.channels, info.height, info.width, info.parameters], [3, 8, 8, 45259]);
    assert.match(info.hash, /^[0-9a-f]{10}$/);
    assert.equal(info.scheduler.prediction_type, "epsilon");
    assert.ok(typeof gpu.name === "string" && gpu.class && gpu.limits, JSON.stringify(gpu)); // Firefox names no GPU
    const kinds = events.map((event) => event.status);
    for (const kind of ["initiate", "download", "progress", "done", "config", "compile", "ready"]) {
      assert.ok(kinds.includes(kind), `${kind} among ${kinds}`);
    }
    const compiles = events.filter((event) => event.status === "compile");
    assert.deepEqual([compiles.at(-1).done > 0, compiles.at(-1).done], [true, compiles.at(-1).total]);
  });

  test("the bundled model", LIMIT, async () => {
    const { error, info } = await open("/www/models/emoji-16/");
    assert.ifError(error && JSON.stringify(error));
    assert.deepEqual([info.channels, info.height, info.width], [3, 16, 16]);
    const result = await run("/www/models/emoji-16/", { steps: 4, seed: 1, count: 4 });
    assert.ifError(result.error && JSON.stringify(result.error));
    assert.ok(result.pictures.every(({ spread }) => spread > 10), JSON.stringify(result.pictures));
  });

  test("no folder there", LIMIT, async () => {
    failed(await attempt("/www/models/nothing-here/"), "not-found", /model_index\.json/);
  });

  test("something that is not an address", LIMIT, async () => {
    failed(await attempt("not a model at all"), "bad-request", /not a model at all/);
    failed(await attempt("javascript:alert(1)"), "bad-request");
  });
});

describe("a host like the hub", () => {
  test("redirects to another origin, with a total", LIMIT, async () => {
    const { error, info, events } = await fromHub("test/tiny");
    assert.ifError(error && JSON.stringify(error));
    assert.equal(info.parameters, 45259);
    assert.ok(hub.requests.some((request) => request.startsWith("elsewhere:")), "followed to the other origin");
    const progress = events.filter((event) => event.status === "progress" && event.file === WEIGHTS);
    assert.equal(progress.at(-1).loaded, progress.at(-1).total);
  });

  test("a pipeline's folders", LIMIT, async () => {
    const { error, info } = await fromHub("test/cifar10-like");
    assert.ifError(error && JSON.stringify(error));
    assert.equal(info.parameters, 2245763);
  });

  test("an address with resolve/ and a revision", LIMIT, async () => {
    const { error } = await attempt(`${hub.origin}/test/tiny/resolve/main/`);
    assert.ifError(error && JSON.stringify(error));
    assert.ok(hub.requests.some((request) => request.startsWith("/test/tiny/resolve/main/")));
  });

  test("the second time comes from the browser's cache", LIMIT, async () => {
    await fromHub("test/gray28");
    const { error, events } = await fromHub("test/gray28");
    assert.ifError(error && JSON.stringify(error));
    const done = events.find((event) => event.status === "done" && event.file === WEIGHTS);
    assert.equal(done.cached, true);
  });

  test("no content-length", LIMIT, async () => {
    const { error, info } = await fromHub("no-length/tiny");
    assert.ifError(error && JSON.stringify(error));
    assert.equal(info.parameters, 45259);
  });

  test("404 for the weights", LIMIT, async () => {
    failed(await fromHub("no-weights/tiny"), "unsupported", /safetensors/);
  });

  test("no such repository", LIMIT, async () => {
    failed(await fromHub("gone/tiny"), "forbidden", /gone\/tiny/);
  });

  test("a connection cut half way", LIMIT, async () => {
    failed(await fromHub("truncated/tiny"), "network", /connection/i, /diffusion_pytorch_model/);
  });

  test("an origin that shares with nobody (CORS)", LIMIT, async () => {
    failed(await fromHub("no-cors/tiny"), "network", /CORS/);
  });

  test("nobody listens there", LIMIT, async () => {
    failed(await attempt("test/tiny", { hub: "http://localhost:9" }), "network");
  });

  test("cancelling a slow download closes the connection", LIMIT, async () => {
    const before = hub.aborted;
    const result = await fromHub("slow/tiny", 20_000);
    failed(result, "aborted");
    const loaded = Math.max(...result.events.map((event) => event.loaded ?? 0));
    assert.ok(loaded < 100_000, `${loaded} bytes had arrived`);
    for (let i = 0; i < 50 && hub.aborted === before; i++) await new Promise((resolve) => setTimeout(resolve, 100));
    assert.ok(hub.aborted > before, "the server saw the connection close");
  });

  test("a file with a tensor of another shape names the tensor, and is not kept", LIMIT, async () => {
    failed(await fromHub("corrupt/tiny"), "bad-file", /conv_in\.weight/);
    const { events } = await fromHub("corrupt/tiny");
    assert.ok(!events.some((event) => event.cached && event.file === WEIGHTS), "fetched again");
  });

  test("a NaN among the weights names the tensor", LIMIT, async () => {
    failed(await fromHub("nan/tiny"), "bad-file", /conv_out\.bias/);
  });
});

describe("files of the visitor", () => {
  const bytes = (name) => fs.readFile(path.join(FIXTURES, "unets/tiny", name));
  const base64 = async (name, change) => Buffer.from(change(await bytes(name))).toString("base64");

  test("a folder's files", LIMIT, async () => {
    const { error, info } = await fromFiles(TINY_FILES);
    assert.ifError(error && JSON.stringify(error));
    assert.equal(info.parameters, 45259);
  });

  test("no weights", LIMIT, async () => {
    failed(await fromFiles(TINY_FILES, { [WEIGHTS]: null }), "unsupported", /safetensors/);
  });

  test("no config", LIMIT, async () => {
    failed(await fromFiles(TINY_FILES, { "config.json": null }), "not-found", /config\.json/);
  });

  test("half of the weights", LIMIT, async () => {
    failed(await fromFiles(TINY_FILES, { [WEIGHTS]: await base64(WEIGHTS, (b) => b.subarray(0, b.length >> 1)) }), "bad-file", /diffusion_pytorch_model/);
  });

  test("weights that are no safetensors", LIMIT, async () => {
    failed(await fromFiles(TINY_FILES, { [WEIGHTS]: Buffer.from("PK\x03\x04 not this").toString("base64") }), "bad-file", /diffusion_pytorch_model/);
  });

  test("a tensor of another shape, and a NaN", LIMIT, async () => {
    failed(await fromFiles(TINY_FILES, { [WEIGHTS]: await base64(WEIGHTS, (b) => corruptShape(b).body) }), "bad-file", /conv_in\.weight/);
    failed(await fromFiles(TINY_FILES, { [WEIGHTS]: await base64(WEIGHTS, (b) => withNan(b).body) }), "bad-file", /conv_out\.bias/);
  });

  test("a config that is no JSON", LIMIT, async () => {
    failed(await fromFiles(TINY_FILES, { "config.json": Buffer.from("{").toString("base64") }), "bad-config", /config\.json/);
  });

  test("a config of another network", LIMIT, async () => {
    const other = await base64("config.json", (b) => JSON.stringify({ ...JSON.parse(b), block_out_channels: [8, 24] }));
    failed(await fromFiles(TINY_FILES, { "config.json": other }), "bad-file", /\[\d+/);
  });

  test("a block kind that is not supported is refused by name", LIMIT, async () => {
    const other = await base64("config.json", (b) => JSON.stringify({ ...JSON.parse(b), down_block_types: ["SkipDownBlock2D", "AttnDownBlock2D"] }));
    failed(await fromFiles(TINY_FILES, { "config.json": other }), "unsupported", /SkipDownBlock2D/);
  });
});

describe("a run", () => {
  test("tells every step in order and ends with pictures", LIMIT, async () => {
    const { steps, pictures, bytes } = await ran({ steps: 6, seed: 3, count: 3, preview: "x_t" });
    assert.equal(bytes, 3 * 8 * 8 * 4);
    const numbers = steps.filter((step) => !step.done).map((step) => step.step);
    assert.deepEqual(numbers, [...numbers].sort((a, b) => a - b));
    assert.equal(new Set(numbers).size, numbers.length);
    assert.ok(steps.at(-1).done && steps.at(-1).step === 6);
    assert.ok(steps.every((step, i) => i === 0 || step.done || step.t <= steps[i - 1].t) && steps[0].t > steps.at(-1).t, `t falls: ${steps.map((step) => step.t)}`);
    assert.equal(new Set(pictures.map(({ digest }) => digest)).size, 3, "three different pictures");
    for (const { spread, opaque } of pictures) assert.ok(spread > 5 && opaque);
  });

  for (const [name, options] of Object.entries({
    "DDIM, eta 0": { sampler: "ddim", eta: 0 },
    "DDIM, eta 0.7": { sampler: "ddim", eta: 0.7 },
    DDPM: { sampler: "ddpm" },
  })) {
    test(`${name}: a seed gives its pictures again, another seed others`, LIMIT, async () => {
      const once = await ran({ steps: 5, seed: 7, count: 2, ...options });
      const again = await ran({ steps: 5, seed: 7, count: 2, ...options });
      const other = await ran({ steps: 5, seed: 8, count: 2, ...options });
      assert.equal(once.digest, again.digest);
      assert.notEqual(once.digest, other.digest);
    });
  }

  test("the samplers and eta make different pictures of one seed", LIMIT, async () => {
    const digests = [];
    for (const options of [{ eta: 0 }, { eta: 1 }, { sampler: "ddpm" }]) digests.push((await ran({ steps: 5, seed: 7, ...options })).digest);
    assert.equal(new Set(digests).size, 3);
  });

  test("a picture does not depend on how many are made with it", LIMIT, async () => {
    for (const options of [{ eta: 0 }, { sampler: "ddpm" }]) {
      const grid = await ran({ steps: 5, seed: 9, count: 5, ...options });
      const alone = await ran({ steps: 5, seed: 9, count: 1, first: 3, ...options });
      assert.equal(alone.pictures[0].digest, grid.pictures[3].digest);
    }
  });

  test("watching does not change the result; both views are there and differ", LIMIT, async () => {
    const unseen = await ran({ steps: 5, seed: 7, count: 2 });
    const seen = await ran({ steps: 5, seed: 7, count: 2, preview: ["x_t", "pred_x0"] });
    assert.equal(unseen.digest, seen.digest);
    const views = seen.steps.map((step) => step.views).find((view) => view.x_t);
    assert.ok(views?.x_t && views.pred_x0 && views.x_t !== views.pred_x0, JSON.stringify(views));
  });

  test("raw x_0 is what the pixels were made of", LIMIT, async () => {
    const { raw } = await ran({ steps: 5, seed: 7, count: 2, raw: true });
    assert.deepEqual([raw.length, raw.finite], [2 * 3 * 8 * 8, true]);
    assert.ok(raw.worst <= 0.51, `a pixel is ${raw.worst} from x_0`);
  });

  test("stops within one submit, and the model is ready again", LIMIT, async () => {
    const before = await ran({ steps: 5, seed: 7 });
    const { error, steps } = await run(TINY, { steps: 1000, seed: 7, count: 16 }, { at: 2, abort: true });
    assert.equal(error?.code, "aborted");
    assert.ok(steps.at(-1).step < 1000, `stopped at step ${steps.at(-1).step}`);
    assert.equal((await ran({ steps: 5, seed: 7 })).digest, before.digest);
  });

  test("a class-conditional model takes a label", LIMIT, async () => {
    const source = "/tests/fixtures/unets/class-cond/";
    const { error, info } = await open(source);
    assert.ifError(error && JSON.stringify(error));
    assert.ok(info.num_classes > 1);
    const one = await run(source, { steps: 3, seed: 1, classLabel: 0 });
    const two = await run(source, { steps: 3, seed: 1, classLabel: 1 });
    assert.ifError((one.error ?? two.error) && JSON.stringify(one.error ?? two.error));
    assert.notEqual(one.digest, two.digest);
    for (const classLabel of [null, info.num_classes]) {
      failed(await run(source, { steps: 3, seed: 1, classLabel }), "bad-request", /class/);
    }
  });

  test("requests that cannot be met say what is wrong with them", LIMIT, async () => {
    await tiny();
    for (const wrong of [{ steps: 0 }, { steps: 2000 }, { count: 0 }, { eta: -1 }, { eta: 2 }, { sampler: "euler" }, { spacing: "odd" }, { seed: -1 }, { seed: 1.5 }, { seed: "7" }, { first: -3 }, { eta: "1" }, { height: 8 }]) {
      failed(await run(TINY, { steps: 3, ...wrong }), "bad-request", new RegExp(Object.keys(wrong)[0]));
    }
  });
});

describe("noise before any model", () => {
  test("depends on seed and index only", LIMIT, async () => {
    const shape = { channels: 3, height: 8, width: 8 };
    const noise = (options) => page.evaluate((o) => window.noiseDigests(o), { ...shape, ...options });
    const four = await noise({ seed: 5, count: 4 });
    assert.equal((await noise({ seed: 5, count: 1, first: 2 }))[0].digest, four[2].digest);
    assert.notEqual((await noise({ seed: 6, count: 1 }))[0].digest, four[0].digest);
    assert.equal(new Set(four.map(({ digest }) => digest)).size, 4);
    assert.ok(four.every(({ spread, opaque }) => spread > 40 && opaque));
  });

  test("of a size that no page can hold, or of none, is refused by name", LIMIT, async () => {
    const noise = (options) => page.evaluate((o) => window.attemptNoise(o), { seed: 5, count: 1, channels: 3, height: 8, width: 8, ...options });
    // The second was a panic; the third and fourth are 0 in 32 bits.
    for (const huge of [{ height: 8192, width: 8193 }, { height: 30000, width: 30000 }, { height: 65536, width: 65536 }, { count: 2 ** 31, width: 65536 }, { channels: 2 ** 32 - 1 }]) {
      failed(await noise(huge), "bad-request", /at most 268435456 numbers/);
    }
    for (const none of ["channels", "height", "width"]) failed(await noise({ [none]: 0 }), "bad-request", new RegExp(`^${none} is 0`, "i"));
    assert.deepEqual(await noise({}), {});
  });
});

describe("a lost device", () => {
  test("under a run: the run starts again and ends with the same pictures", LIMIT, async () => {
    const unbroken = await ran({ steps: 200, seed: 11, count: 4 });
    for (let i = 0; i < 2; i++) {
      const broken = await ran({ steps: 200, seed: 11, count: 4 }, { at: 5 + 10 * i, lose: true });
      assert.ok(broken.steps.some((step) => step.restarted), "it was told");
      assert.equal(broken.digest, unbroken.digest);
    }
  });

  test("between runs: nobody needs to do anything", LIMIT, async () => {
    const before = await ran({ steps: 5, seed: 12 });
    await page.evaluate(() => window.client.loseDevice());
    assert.equal((await ran({ steps: 5, seed: 12 })).digest, before.digest);
  });
});

describe("a crash of the engine", () => {
  const REQUEST = { steps: 200, seed: 11, count: 4 };

  /** A separate page, whose engine crashes as `change` says. */
  async function crashing(t, change) {
    change();
    const page = await openClient();
    t.after(async () => {
      server.changed.delete(ENGINE);
      await page.close();
    });
    return {
      open: () => page.evaluate((source) => window.open(source), TINY),
      run: (options, act = null) => page.evaluate((...args) => window.run(...args), TINY, options, act),
    };
  }

  const restarts = ({ steps }) => steps.filter((step) => step.restarted).map(({ restarted, code }) => [restarted, code]);

  for (const how of Object.keys(CRASHES)) {
    test(`${how} under a run: a new worker loads the model and runs it again, with the same pictures`, LIMIT, async (t) => {
      const unbroken = await ran(REQUEST);
      const { open, run } = await crashing(t, () => crashWhenTold(server, how));
      await open();
      const broken = await run(REQUEST, { at: 5, crash: true });
      assert.ifError(broken.error && JSON.stringify(broken.error));
      assert.deepEqual(restarts(broken), [[1, "internal"]]);
      assert.match(broken.steps.find((step) => step.restarted).reason, REASONS[how]);
      assert.equal(broken.digest, unbroken.digest);
      // `open` gives the events of the model since it was first loaded.
      const { events } = await open();
      const lost = events.findIndex((event) => event.status === "lost");
      assert.equal(events[lost].code, "internal");
      assert.ok(events.slice(lost).some((event) => event.status === "ready"), JSON.stringify(events.slice(lost)));
    });
  }

  test("under a run that is stopped: it is not run again, and the next one works", LIMIT, async (t) => {
    const before = await ran({ steps: 5, seed: 12 });
    const { open, run } = await crashing(t, () => crashWhenTold(server, "a trap"));
    await open();
    const { error, steps } = await run({ steps: 500, seed: 1 }, { at: 2, crash: true, abort: true });
    assert.equal(error?.code, "aborted");
    assert.deepEqual(restarts({ steps }), []);
    assert.equal((await run({ steps: 5, seed: 12 })).digest, before.digest);
  });

  test("a panic again and again at the same place: an internal error with its text, and the next run works", LIMIT, async (t) => {
    const { open, run } = await crashing(t, () => crashEachTime(server, 4, "a panic"));
    await open();
    const broken = await run(REQUEST);
    failed(broken, "internal", REASONS["a panic"]);
    assert.match(broken.error.detail, /\S/);
    assert.deepEqual(restarts(broken), [[1, "internal"], [2, "internal"]], "it was tried three times");
    server.changed.delete(ENGINE);
    const after = await run(REQUEST);
    assert.ifError(after.error && JSON.stringify(after.error));
  });

  test("whenever a model is loaded: an internal error", LIMIT, async (t) => {
    const fail = '\nModel.load = () => { throw Object.assign(new Error("a synthetic error"), { code: "internal" }); };';
    const { open } = await crashing(t, () => server.changed.set(ENGINE, (text) => text + fail));
    failed(await open(), "internal", /a synthetic error/);
  });
});
