// How long a page needs before its first picture, with two builds of the module that take turns in one browser:
//
//     BROWSER=chromium node startup.mjs CHECKOUT [OTHER CHECKOUT] [TURNS]      default: this one alone, 7 turns
//
// Each checkout needs its pkg/ (scripts/test.sh wasm). Every visit has its own browser profile, so nothing is kept from the
// one before. Prints the median of each time span, and the ratio if there are two builds.

import path from "node:path";
import { pathToFileURL } from "node:url";

import { launch } from "./browser.mjs";
import { ROOT } from "./server.mjs";

const MODEL = "www/models/emoji-16";
const FILES = ["model_index.json", "unet/config.json", "unet/diffusion_pytorch_model.safetensors", "scheduler/scheduler_config.json"];

const [first = ROOT, second, turns = "7"] = process.argv.slice(2);
const checkouts = [first, second].filter(Boolean).map((folder) => path.resolve(folder));

/** In the page: from nothing to 16 pictures of one step, with the module's own functions. */
async function visit(folder, files) {
  const times = {};
  let last = performance.now();
  const lap = (name) => {
    const now = performance.now();
    times[name] = now - last;
    last = now;
  };
  const { default: init, Gpu, Model } = await import("/pkg/unnoise.js");
  await init();
  lap("module: fetch, compile and start");
  const gpu = await Gpu.request("{}");
  lap("adapter and device");
  const contents = [];
  for (const file of files) contents.push(new Uint8Array(await (await fetch(`/${folder}/${file}`)).arrayBuffer()));
  lap("fetch the model");
  const model = await Model.load(gpu, files, contents, () => {});
  lap("load it and compile its shaders");
  const run = await model.start(JSON.stringify({ steps: 1, seed: 3, count: 16, sampler: "ddim" }));
  while (!JSON.parse(await run.advance()).done);
  const pixels = await run.picture("x_t");
  lap("one step of 16 pictures, read back");
  if (pixels.length !== 16 * 16 * 16 * 4) throw new Error(`${pixels.length} bytes`);
  times["all of it"] = Object.values(times).reduce((sum, ms) => sum + ms, 0);
  return times;
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];

const browser = await launch();
const servers = [];
try {
  for (const folder of checkouts) {
    const { serveFiles } = await import(pathToFileURL(path.join(folder, "tests/web/server.mjs")).href);
    servers.push(await serveFiles());
  }
  const seen = checkouts.map(() => []);
  for (let turn = 0; turn < Number(turns); turn++) {
    for (const [i, { origin }] of servers.entries()) {
      const context = await browser.createBrowserContext();
      const page = await context.newPage();
      // Any page of this server that does not load the module by itself.
      await page.goto(`${origin}/tests/web/client.html`);
      seen[i].push(await page.evaluate(visit, MODEL, FILES));
      await context.close();
    }
  }
  console.log(`${await browser.version()}, ${turns} turns, milliseconds (median; the least and the most)`);
  for (const name of Object.keys(seen[0][0])) {
    const columns = seen.map((visits) => visits.map((times) => times[name]));
    const cells = columns.map((ms) => `${median(ms).toFixed(0)} (${Math.min(...ms).toFixed(0)} to ${Math.max(...ms).toFixed(0)})`);
    const ratio = columns.length === 2 ? (median(columns[1]) / median(columns[0])).toFixed(2) : "";
    console.log([name.padEnd(36), ...cells.map((cell) => cell.padEnd(24)), ratio].join(""));
  }
} finally {
  await browser.close();
  for (const server of servers) await server.close();
}
