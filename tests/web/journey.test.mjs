// The whole journey: the trainer begins without arguments, is killed, continues, and exports a model, which the page then
// uses. The pictures are compared with those that the command line makes from the same folder, on its own adapter.
// UNNOISE names the binary, built with `--features train`; without it the test is skipped (scripts/test.sh builds it).

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { promises as fs } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";

import { PATIENCE, launch } from "./browser.mjs";
import { ROOT, serveFiles, sleep } from "./server.mjs";

const UNNOISE = process.env.UNNOISE && path.resolve(process.env.UNNOISE);
const STEPS = 10;
const COUNT = 4;
// Two adapters round differently, and ten steps of a network that has hardly learned anything do not magnify that. The limit
// is a quarter of one level of 255, the least that could be shown.
const APART = 0.25 * (2 / 255);

let server;
let browser;
let folder;

before(async () => {
  await fs.mkdir(path.join(ROOT, "target"), { recursive: true });
  // Inside the repository, since the page can only load what the server serves.
  folder = await fs.mkdtemp(path.join(ROOT, "target", "journey-"));
  server = await serveFiles();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await server?.close();
  if (folder) await fs.rm(folder, { recursive: true, force: true });
});

/** A command of the binary, in a folder that is empty at first. `ended` settles with [exit code, signal, everything it said]. */
function unnoise(...args) {
  const child = spawn(UNNOISE, args, { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (said += text));
  const ended = new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve([code, signal, said]));
  });
  return { child, ended, said: () => said };
}

async function succeeds(...args) {
  const [code, signal, said] = await unnoise(...args).ended;
  assert.equal(code, 0, `unnoise ${args.join(" ")}: ${signal ?? code}\n${said}`);
  return said;
}

/** The tensors of a safetensors file of f32. */
async function tensors(file) {
  const bytes = await fs.readFile(file);
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.subarray(8, start).toString());
  delete header.__metadata__;
  return Object.fromEntries(
    Object.entries(header).map(([name, { dtype, shape, data_offsets: [from, to] }]) => {
      assert.equal(dtype, "F32");
      return [name, { shape, values: new Float32Array(bytes.buffer.slice(bytes.byteOffset + start + from, bytes.byteOffset + start + to)) }];
    }),
  );
}

test("trained without arguments, killed, resumed, exported, generated in the page", { timeout: PATIENCE, skip: !UNNOISE && "UNNOISE is not set" }, async () => {
  // The settings without arguments, found by the same code. Everything below only shortens the run.
  const settings = await succeeds("train", "--print-config");
  assert.match(settings, /path = "builtin:emoji/);
  await fs.writeFile(path.join(folder, "short.toml"), "[checkpoints]\nevery = 3\n[sampling]\nevery = 0\n[training]\nmax_steps = 9\nlog_every = 1\n");
  const command = ["train", "short.toml"];

  const first = unnoise(...command);
  const run = path.join(folder, "runs/default");
  const latest = () => fs.readFile(path.join(run, "latest"), "utf8").catch(() => null);
  while ((await latest()) === null) {
    assert.equal(first.child.exitCode, null, first.said());
    await sleep(20);
  }
  first.child.kill("SIGKILL");
  const [, signal] = await first.ended;
  assert.equal(signal, "SIGKILL", `killed in the middle of the run: ${first.said()}`);
  const found = Number((await latest()).match(/\d+/)[0]);
  assert.ok(found >= 3 && found < 9, `the checkpoint of step ${found}`);

  const second = await succeeds(...command);
  assert.match(second, new RegExp(`step ${found}\\b`), "it went on from there");
  const rows = (await fs.readFile(path.join(run, "metrics.csv"), "utf8")).trim().split("\n").slice(1);
  assert.deepEqual(rows.map((row) => Number(row.split(",")[0])), [1, 2, 3, 4, 5, 6, 7, 8, 9], "a row for each step, once");

  const model = path.join(folder, "model");
  await succeeds("export", "runs/default", "--f16", "--out", model);
  await succeeds("sample", model, "--sampler", "ddim", "--steps", String(STEPS), "--seed", "7", "-n", String(COUNT), "--out", "x_0.safetensors");
  const [[, native]] = Object.entries(await tensors(path.join(folder, "x_0.safetensors")));

  const page = await browser.newPage();
  await page.goto(`${server.origin}/tests/web/client.html`);
  await page.waitForFunction(() => document.title === "ready", { timeout: PATIENCE });
  const shown = await page.evaluate(
    async (source, options) => {
      const model = await window.client.load(source);
      let last;
      for await (const step of model.generate(options)) last = step;
      await model.dispose();
      return { shape: [last.count, 3, last.height, last.width], values: Array.from(last.x_0) };
    },
    `/${path.relative(ROOT, model).split(path.sep).join("/")}/`,
    { sampler: "ddim", steps: STEPS, seed: 7, count: COUNT, raw: true },
  );
  assert.deepEqual(shown.shape, native.shape);
  assert.equal(shown.values.length, native.values.length);
  const worst = Math.max(...shown.values.map((value, i) => Math.abs(value - native.values[i])));
  assert.ok(worst <= APART, `the page's pictures are ${worst} from the command line's`);
  // Not because both are blank.
  const mean = native.values.reduce((sum, value) => sum + value, 0) / native.values.length;
  const spread = Math.sqrt(native.values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / native.values.length);
  assert.ok(spread > 0.1, `spread ${spread}`);
});
