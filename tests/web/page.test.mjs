// The page itself, as a visitor uses it: opening, generating, stopping, settings, links, saving, bringing a model, trouble.

import assert from "node:assert/strict";
import path from "node:path";
import { after, before, describe, test } from "node:test";

import { IS_FIREFOX, PATIENCE, launch } from "./browser.mjs";
import { ENGINE, crashEachTime, crashWhenTold } from "./crash.mjs";
import { atStep, begin, choose, digests, generate, openPage, pictures, savedFiles, set, SMALL, state, trouble } from "./page.mjs";
import { readPng } from "./png.mjs";
import { FIXTURES, serveFiles, serveHub, sleep } from "./server.mjs";

const LIMIT = { timeout: PATIENCE };

let server;
let hub;
let browser;

before(async () => {
  server = await serveFiles();
  hub = await serveHub();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await server?.close();
  await hub?.close();
});

/**
 * A test with its own page, which must have logged no errors by the end. `model: false` holds the model's weights back, for
 * tests that do not need the model: compiling its shaders takes seconds.
 */
function visit(name, options, body, { quiet = true, skip = false, model = true } = {}) {
  test(name, { ...LIMIT, skip }, async (t) => {
    if (!model) holdModel(t);
    const page = await openPage(browser, server.origin, options);
    t.after(() => page.done());
    await body(page, t);
    if (quiet) assert.deepEqual(page.seen.errors, []);
    assert.deepEqual(await page.evaluate(() => window.refused), [], "nothing that the page's own policy refuses");
  });
}

/** Answers the request for the bundled model's weights when the test ends, or when the returned function is called. */
function holdModel(t) {
  const weights = "/www/models/emoji-16/unet/diffusion_pytorch_model.safetensors";
  let open;
  server.held.set(weights, new Promise((resolve) => (open = resolve)));
  const release = () => {
    server.held.delete(weights);
    open();
  };
  t.after(release);
  return release;
}

/** The page has drawn something. */
const drawn = (page) => page.waitForFunction(() => document.getElementById("grid").dataset.drawn, { timeout: PATIENCE });

const text = (page, id) => page.$eval(`#${id}`, (element) => element.textContent.trim());

describe("opening", () => {
  visit("a real model, ready, with noise to begin from, and nothing asked of anyone else", {}, async (page) => {
    await state(page, "ready");
    const noise = await pictures(page);
    assert.equal(noise.length, 4);
    assert.ok(noise.every(({ spread, width }) => spread > 40 && width === 16), JSON.stringify(noise));
    assert.equal(new Set(noise.map(({ digest }) => digest)).size, 4);
    assert.match(await page.title(), /unnoise/);
    assert.ok((await text(page, "gpu")).length > 0, "the GPU is named");
    const elsewhere = page.seen.requests.filter((url) => !url.startsWith(server.origin) && !/^(blob|data):/.test(url));
    assert.deepEqual(elsewhere, []);
  });

  visit("a strict policy is in force", {}, async (page) => {
    const policy = await page.$eval('meta[http-equiv="Content-Security-Policy"]', (meta) => meta.content);
    assert.match(policy, /default-src 'self'|default-src 'none'/);
    assert.doesNotMatch(policy, /'unsafe-inline'|'unsafe-eval'|script-src[^;]*(https:|\*)/);
    const ran = await page.evaluate(async () => {
      const script = document.createElement("script");
      script.textContent = "window.inlineRan = true";
      document.head.append(script);
      window.refused.length = 0;
      return window.inlineRan === true;
    });
    assert.equal(ran, false, "an inline script runs");
    await sleep(200);
    await page.evaluate(() => (window.refused.length = 0));
  }, { quiet: false, model: false });

  test("the noise is there before the model is", LIMIT, async (t) => {
    const release = holdModel(t);
    const page = await openPage(browser, server.origin);
    t.after(() => page.done());
    await drawn(page);
    const noise = await pictures(page);
    assert.ok(noise.length === 4 && noise.every(({ spread }) => spread > 40), JSON.stringify(noise));
    assert.equal(await page.$eval("body", (body) => body.dataset.state), "fetching");
    release();
    await state(page, "ready");
    assert.deepEqual((await pictures(page)).map(({ digest }) => digest), noise.map(({ digest }) => digest));
  });

  visit("another seed draws other noise at once", {}, async (page) => {
    await drawn(page);
    const before = await digests(page);
    await set(page, "seed", 4);
    await page.waitForFunction(() => location.hash.includes("seed=4"));
    for (let i = 0; i < 50 && (await digests(page)) === before; i++) await sleep(100);
    assert.notEqual(await digests(page), before);
  }, { model: false });
});

describe("generating", () => {
  visit("from noise to pictures; again the same, and others from another seed", {}, async (page) => {
    await state(page, "ready");
    const noise = await digests(page);
    const first = await generate(page);
    assert.notEqual(first, noise);
    const made = await pictures(page);
    assert.ok(made.every(({ spread }) => spread > 8), JSON.stringify(made));
    assert.equal(new Set(made.map(({ digest }) => digest)).size, 4);
    assert.match(await text(page, "status"), /\d/);
    assert.equal(await generate(page), first);
    await set(page, "seed", 8);
    assert.notEqual(await generate(page), first);
    await set(page, "seed", 3);
    assert.equal(await generate(page), first);
  });

  visit("the sampler and eta change the pictures, reproducibly", {}, async (page) => {
    await state(page, "ready");
    const ddim = await generate(page);
    await set(page, "eta", 1);
    const noisy = await generate(page);
    await choose(page, "sampler-ddpm");
    const ddpm = await generate(page);
    assert.equal(new Set([ddim, noisy, ddpm]).size, 3);
    assert.equal(await generate(page), ddpm);
    await choose(page, "sampler-ddim");
    assert.equal(await generate(page), noisy);
  });

  visit("the live view switches between x_t and pred_x0", { hash: "n=16&steps=1000&seed=3" }, async (page) => {
    await state(page, "ready");
    await begin(page);
    const drawn = () => page.$eval("#grid", (grid) => Number(grid.dataset.drawn));
    for (const view of ["show-x_t", "show-pred_x0"]) {
      await choose(page, view);
      const from = await drawn();
      await page.waitForFunction((from) => Number(document.getElementById("grid").dataset.drawn) >= from + 2, { timeout: PATIENCE }, from);
    }
    assert.equal(await page.$eval("body", (body) => body.dataset.state), "sampling");
    await page.keyboard.press("Escape");
    await state(page, "ready", "done");
  });

  visit("the timeline goes back through the steps, in either view", { hash: "n=4&steps=50&seed=3" }, async (page) => {
    await state(page, "ready");
    const result = await generate(page);
    const move = (moment) =>
      page.$eval("#timeline", (timeline, moment) => {
        timeline.value = moment;
        timeline.dispatchEvent(new Event("input", { bubbles: true }));
        return timeline.getAttribute("aria-valuetext");
      }, moment);
    /** Mean contrast of the pictures at the current moment. */
    const contrast = async (view) => {
      await choose(page, view);
      const list = await pictures(page);
      return list.reduce((sum, { spread }) => sum + spread, 0) / list.length;
    };
    // Steps that came while a view was being read back have no moments. The first and the last step always have one.
    const last = Number(await page.$eval("#timeline", (timeline) => timeline.max));
    assert.match(await move(0), /^Noise/);
    const steps = [0];
    for (let moment = 1; moment <= last; moment++) {
      const [step, t] = (await move(moment)).match(/^Step (\d+) of 50 · t = (\d+)$/).slice(1).map(Number);
      assert.ok(step > steps.at(-1), `step ${step} after ${steps}`);
      assert.equal(t, Math.max(0, 980 - 20 * step));
      steps.push(step);
    }
    assert.equal(steps.at(-1), 50);
    const early = steps.findIndex((step) => step >= 5);
    assert.ok(steps[early] <= 20, `seen: ${steps}`);
    await move(0);
    const noise = await contrast("show-x_t");
    await move(early);
    const [noisy, predicted] = [await contrast("show-x_t"), await contrast("show-pred_x0")];
    // From t = 880 to 580 x_t goes from a contrast of 90 to 80 of 255 (91 at the start), and the guess from 38 to 54.
    assert.ok(Math.abs(noisy - noise) < 12 && noisy > 1.4 * predicted, `${noise}, ${noisy} and ${predicted}`);
    await choose(page, "show-x_t");
    await move(last);
    assert.equal(await digests(page), result);
  });

  visit("Stop and Esc end a run at once, and the next one is whole", {}, async (page) => {
    await state(page, "ready");
    const whole = await generate(page);
    for (const stop of [() => page.click("#generate"), () => page.keyboard.press("Escape")]) {
      await set(page, "steps", 1000);
      await begin(page);
      await page.waitForFunction(() => /\d/.test(document.getElementById("status").textContent));
      await stop();
      assert.equal(await state(page, "ready", "done"), "ready");
      const [, step] = (await text(page, "status")).match(/^Stopped at step (\d+) of 1000$/);
      assert.ok(Number(step) < 1000, `stopped at step ${step}`);
      await set(page, "steps", 5);
      assert.equal(await generate(page), whole);
    }
  });

  visit("by keyboard alone: Tab and Enter, and Space, which types a space in a field", {}, async (page) => {
    await state(page, "ready");
    const reached = [];
    for (let i = 0; i < 40; i++) {
      await page.keyboard.press("Tab");
      reached.push(await page.evaluate(() => document.activeElement.id));
      if (reached.at(-1) === "generate") break;
    }
    assert.ok(reached.includes("generate"), reached.join(" "));
    assert.ok(reached.includes("seed") && reached.includes("model"), reached.join(" "));
    await page.keyboard.press("Enter");
    await state(page, "sampling", "done");
    await state(page, "done");

    const before = await digests(page);
    await page.click("#own-open");
    await page.type("#own-id", "a b");
    assert.equal(await page.$eval("#own-id", (input) => input.value), "a b");
    assert.equal(await page.$eval("body", (body) => body.dataset.state), "done");
    await page.keyboard.press("Escape");
    await page.evaluate(() => document.activeElement.blur());
    // After a run, Space makes another one from another seed.
    await page.keyboard.press(" ");
    await page.waitForFunction(() => !/seed=3(&|$)/.test(location.hash));
    await state(page, "done");
    assert.notEqual(await digests(page), before);
  });

  visit("the main thread has no task over 50 ms meanwhile", { hash: "n=16&steps=12&seed=3" }, async (page) => {
    await state(page, "ready");
    // A busy machine can stretch any task; one of the page's own would be long in every run.
    const runs = [];
    for (let i = 0; i < 3; i++) {
      const from = await page.evaluate(() => performance.now());
      await begin(page);
      await state(page, "done");
      const to = await page.evaluate(() => performance.now());
      runs.push(await page.evaluate((from, to) => window.longTasks.filter(({ startTime }) => startTime > from && startTime < to), from, to));
      if (runs.at(-1).length === 0) return;
    }
    assert.fail(`tasks over 50 ms in each of three runs: ${JSON.stringify(runs)}`);
  }, { skip: IS_FIREFOX && "Firefox does not report long tasks" });
});

describe("the address", () => {
  visit("restores every setting", { hash: "model=emoji-16&sampler=ddim&steps=7&eta=0.5&seed=123&n=4&show=pred_x0" }, async (page) => {
    await drawn(page);
    const value = (id) => page.$eval(`#${id}`, (element) => element.value);
    const checked = (id) => page.$eval(`#${id}`, (element) => element.checked);
    assert.deepEqual([await value("seed"), await value("steps"), Number(await value("eta"))], ["123", "7", 0.5]);
    assert.deepEqual([await checked("sampler-ddim"), await checked("count-4"), await checked("show-pred_x0")], [true, true, true]);
    await set(page, "seed", 9);
    await page.waitForFunction(() => new URLSearchParams(location.hash.slice(1)).get("seed") === "9");
    const params = await page.evaluate(() => Object.fromEntries(new URLSearchParams(location.hash.slice(1))));
    assert.deepEqual([params.steps, Number(params.eta), params.n, params.show], ["7", 0.5, "4", "pred_x0"]);
  }, { model: false });

  visit("a link to a model elsewhere fetches nothing before the visitor says so", { hash: `${SMALL}&model=someone/something` }, async (page) => {
    await state(page, "ready");
    assert.match(await text(page, "notice-text"), /something/);
    assert.match(await text(page, "notice-act"), /Fetch it from/);
    assert.ok(page.seen.requests.every((url) => url.startsWith(server.origin) || /^(blob|data):/.test(url)), page.seen.requests.join(" "));
  });

  const HOSTILE = [
    "seed=-1&steps=1e9&eta=NaN&n=100000&sampler=__proto__&show=constructor",
    "model=javascript:alert(1)&seed=<img src=x onerror=alert(1)>",
    "model=../../../../etc/passwd&steps=0",
    `seed=${"9".repeat(5000)}`,
    "%E0%A4%A&&&===&seed",
  ];
  for (const hash of HOSTILE) {
    visit(`ignores ${hash.slice(0, 50)}`, { hash }, async (page) => {
      await drawn(page);
      assert.equal(await page.$eval("body", (body) => body.dataset.state), "fetching");
      assert.equal(await page.$eval("#model", (select) => select.value), "emoji-16");
      assert.equal(await page.$eval("#seed", (input) => input.value), "42");
      assert.equal(await page.$eval("#steps", (input) => input.value), "50");
      assert.equal(await page.$("#grid img, #controls img"), null);
    }, { model: false });
  }
});

describe("saving", () => {
  visit("the grid and one picture, each with its recipe", {}, async (page) => {
    await state(page, "ready");
    await generate(page);
    await page.click("#save");
    const [grid] = await savedFiles(page);
    assert.match(grid.name, /\.png$/);
    const sheet = readPng(grid.bytes);
    assert.match(sheet.text.parameters, /Seed: 3\b/i);
    assert.match(sheet.text.parameters, /Steps: 5\b/i);
    const recipe = JSON.parse(sheet.text.unnoise);
    assert.deepEqual([recipe.seed, recipe.steps, recipe.sampler, recipe.model], [3, 5, "ddim", "emoji-16"]);

    await page.click("#grid button:nth-of-type(2)");
    await page.waitForSelector("#viewer[open]");
    await page.click("#viewer-save");
    const [, one] = await savedFiles(page, 2);
    const picture = readPng(one.bytes);
    assert.equal(picture.width % 16, 0);
    // Every pixel of the saved picture is the pixel on the screen.
    const scale = picture.width / 16;
    const shown = await page.evaluate(() => {
      const canvas = document.querySelectorAll("#grid canvas")[1];
      return Array.from(canvas.getContext("2d").getImageData(0, 0, 16, 16).data);
    });
    for (let y = 0; y < 16; y++) {
      for (let x = 0; x < 16; x++) {
        for (let c = 0; c < 3; c++) {
          assert.equal(picture.pixels[(y * scale * picture.width + x * scale) * picture.channels + c], shown[(y * 16 + x) * 4 + c]);
        }
      }
    }
  });
});

describe("bringing a model", () => {
  async function ask(page, address) {
    await page.click("#own-open");
    await page.waitForSelector("#own[open]");
    await page.type("#own-id", address);
    await page.click("#own-load");
  }
  const repository = (name) => `${hub.origin}/${name}/resolve/main/`;

  visit("by address, from a host like the hub", {}, async (page) => {
    await state(page, "ready");
    await ask(page, repository("test/gray28"));
    await page.waitForFunction(() => document.querySelector("#grid canvas")?.width === 28, { timeout: PATIENCE });
    await state(page, "ready");
    await generate(page);
    assert.ok((await pictures(page)).every(({ width, height, spread }) => width === 28 && height === 28 && spread > 2));
  });

  visit("by its path on this site", {}, async (page) => {
    await state(page, "ready");
    await ask(page, "tests/fixtures/unets/gray28");
    await page.waitForFunction(() => document.querySelector("#grid canvas")?.width === 28, { timeout: PATIENCE });
    await state(page, "ready");
    assert.ok(page.seen.requests.every((url) => url.startsWith(server.origin) || url.startsWith("blob:")), page.seen.requests.join(" "));
  });

  visit("shows how far a download is, and cancels it", {}, async (page) => {
    await state(page, "ready");
    const before = hub.aborted;
    await ask(page, repository("slow/cifar10-like"));
    await page.waitForFunction(() => /MB|kB|KiB|MiB/.test(document.getElementById("status").textContent), { timeout: PATIENCE });
    await page.waitForFunction(() => Number(document.getElementById("progress").value) > 0, { timeout: PATIENCE });
    assert.equal(await page.$eval("#cancel", (button) => button.hidden), false);
    await page.click("#cancel");
    await page.waitForFunction(() => document.body.dataset.state !== "fetching", { timeout: 10_000 });
    for (let i = 0; i < 50 && hub.aborted === before; i++) await sleep(100);
    assert.ok(hub.aborted > before, "the connection was closed");
  });

  const FAILURES = {
    "gone/tiny": /gone|does not exist|status 401|not give/i,
    "no-weights/tiny": /safetensors/i,
    "truncated/tiny": /connection/i,
    "no-cors/tiny": /CORS|could not be reached/i,
    "corrupt/tiny": /conv_in\.weight/,
    "nan/tiny": /conv_out\.bias/,
  };
  visit("that cannot be loaded: a plain sentence, and the way back works", {}, async (page, t) => {
    await state(page, "ready");
    let button = "#own-open";
    /** Opens the dialog, from the error if there is one, and asks for a model. */
    const bring = async (name) => {
      await page.click(button);
      await page.waitForSelector("#own[open]");
      await page.$eval("#own-id", (input) => (input.value = ""));
      await page.type("#own-id", repository(name));
      await page.click("#own-load");
      await page.waitForFunction((name) => document.getElementById("model").value.includes(name), {}, name);
      button = "#error-own";
    };
    for (const [name, words] of Object.entries(FAILURES)) {
      await t.test(name.split("/")[0], LIMIT, async () => {
        await bring(name);
        await state(page, "error");
        assert.match(await trouble(page), words);
        const inFrame = await pictures(page);
        assert.ok(inFrame.length > 0, "the frame is not empty");
      });
    }
    await bring("test/tiny");
    await state(page, "ready");
    assert.equal(await trouble(page), null);
  }, { quiet: false });

  visit("by choosing files", {}, async (page) => {
    await state(page, "ready");
    const input = await page.$("#own-files-input");
    const folder = path.join(FIXTURES, "unets/tiny");
    await input.uploadFile(path.join(folder, "config.json"), path.join(folder, "diffusion_pytorch_model.safetensors"));
    await page.waitForFunction(() => document.querySelector("#grid canvas")?.width === 8, { timeout: PATIENCE });
    await state(page, "ready");
    await generate(page);
  });

  visit("by dropping a folder", {}, async (page) => {
    await state(page, "ready");
    const client = await page.createCDPSession();
    const data = { items: [], files: [path.join(FIXTURES, "unets/tiny")], dragOperationsMask: 1 };
    for (const type of ["dragEnter", "dragOver", "drop"]) {
      await client.send("Input.dispatchDragEvent", { type, x: 400, y: 400, data });
    }
    await page.waitForFunction(() => document.querySelector("#grid canvas")?.width === 8, { timeout: PATIENCE });
    await state(page, "ready");
    assert.match(await page.$eval("#model", (select) => select.value), /^files:tiny$/);
  }, { skip: IS_FIREFOX && "its driver cannot drop files" });
});

describe("models of every kind", () => {
  const fixture = (name) => `tests/fixtures/unets/${name}`;
  async function bring(page, name) {
    await page.click("#own-open");
    await page.waitForSelector("#own[open]");
    await page.type("#own-id", fixture(name));
    await page.click("#own-load");
    await page.waitForFunction((name) => document.getElementById("model").value.includes(name), {}, name);
    await state(page, "ready");
  }

  visit("one that its own sampler cannot run by default is run by the page's", {}, async (page) => {
    await state(page, "ready");
    await bring(page, "learned-var");
    await generate(page);
  });

  visit("what was assumed about a model is told beside its facts, and goes with it", {}, async (page) => {
    await state(page, "ready");
    const offered = () => page.$eval("#model-notes-open", (button) => button.checkVisibility());
    assert.equal(await offered(), false, "nothing is assumed about the bundled model");
    await bring(page, "tiny");
    assert.equal(await offered(), true);
    await page.click("#model-notes-open");
    await page.waitForFunction(() => document.getElementById("model-notes").matches(":popover-open"));
    assert.match(await text(page, "model-notes"), /^The model has no scheduler_config\.json, so it is assumed .*\.$/);
    await page.keyboard.press("Escape");
    await page.select("#model", "emoji-16");
    await state(page, "ready");
    assert.equal(await offered(), false);
  });

  visit("a class goes with its model, and no further", {}, async (page) => {
    await state(page, "ready");
    await bring(page, "class-cond");
    const model = await page.$eval("#model", (select) => select.value);
    const params = async () => new URLSearchParams((await page.evaluate(() => location.hash)).slice(1));
    const most = Number(await page.$eval("#class", (input) => input.max));
    assert.ok(most > 1, `classes 0 to ${most}`);
    // By link, the class is kept if given, clamped, reset if it is left out, and dropped by a model without classes.
    for (const [wanted, want] of [["2", "2"], ["99", String(most)], [null, "0"]]) {
      await page.evaluate((hash) => (location.hash = hash), `${SMALL}&model=${encodeURIComponent(model)}${wanted === null ? "" : `&class=${wanted}`}`);
      await page.waitForFunction((want) => document.getElementById("class").value === want, {}, want);
      assert.equal((await params()).get("class"), want);
      await generate(page);
    }
    await page.evaluate((hash) => (location.hash = hash), `${SMALL}&model=emoji-16&class=2`);
    await page.waitForFunction(() => document.getElementById("model").value === "emoji-16");
    await state(page, "ready");
    await generate(page);
    assert.equal((await params()).get("class"), null);
  });

  visit("Another seed is in its field too, which has the focus", {}, async (page) => {
    await state(page, "ready");
    await generate(page);
    await page.focus("#seed");
    await page.keyboard.press("Enter");
    // Any seed, of which some begin with a 3.
    await page.waitForFunction(() => new URLSearchParams(location.hash.slice(1)).get("seed") !== "3");
    await state(page, "done");
    const seed = new URLSearchParams((await page.evaluate(() => location.hash)).slice(1)).get("seed");
    assert.equal(await page.$eval("#seed", (input) => input.value), seed);
  });

  visit("picture 64 of 64 has a link", { hash: "n=64&steps=2&seed=3&image=64" }, async (page) => {
    await state(page, "ready");
    assert.equal((await pictures(page)).length, 1);
    assert.match(await page.$eval("#alone-text", (text) => text.textContent), /picture 64 of seed 3/);
    await generate(page);
  });

  visit("on a phone the sheet takes the focus when it opens", { width: 390, height: 800 }, async (page) => {
    await drawn(page);
    await page.focus("#settings-open");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.activeElement?.id === "settings-close", { timeout: 5000 });
    await page.keyboard.press("Escape");
    await page.waitForFunction(() => document.activeElement?.id === "settings-open", { timeout: 5000 });
  }, { model: false });
});

describe("trouble", () => {
  visit("a device lost in the middle: the run starts again and ends the same", { hash: "n=4&steps=100&seed=3" }, async (page) => {
    await state(page, "ready");
    const unbroken = await generate(page);
    // LOSSES=20 for a longer look (docs/testing.md).
    for (let loss = 1; loss <= Number(process.env.LOSSES ?? 2); loss++) {
      const lost = atStep(page, 5 * loss, "lose");
      await begin(page);
      await lost;
      await state(page, "done");
      assert.equal(await digests(page), unbroken);
      assert.equal(await page.$eval("body", (body) => body.dataset.restarts), String(loss));
    }
  });

  visit("a device lost while nothing runs: the next run is the same", {}, async (page) => {
    await state(page, "ready");
    const unbroken = await generate(page);
    await page.evaluate(async () => (await import(new URL("www/client.js", document.baseURI).href)).loseDevice());
    await state(page, "ready", "done");
    assert.equal(await generate(page), unbroken);
  });

  for (const how of ["a trap in a callback", "an internal error of the GPU"]) {
    test(`${how} in the middle: the page says so, and the run starts again and ends the same`, LIMIT, async (t) => {
      crashWhenTold(server, how);
      t.after(() => server.changed.delete(ENGINE));
      const page = await openPage(browser, server.origin, { hash: "n=4&steps=100&seed=3" });
      t.after(() => page.done());
      await state(page, "ready");
      const unbroken = await generate(page);
      // What the page says while it recovers is gone in a moment, so it is recorded.
      await page.evaluate(() => {
        window.said = [];
        new MutationObserver(() => window.said.push(document.getElementById("live").textContent)).observe(document.getElementById("live"), { childList: true });
      });
      const crashed = atStep(page, 5, "crash");
      await begin(page);
      await crashed;
      await state(page, "done");
      assert.equal(await digests(page), unbroken);
      assert.equal(await page.$eval("body", (body) => body.dataset.restarts), "1");
      assert.match((await page.evaluate(() => window.said)).join("\n"), /internal error.*from seed 3\./);
    });
  }

  test("the engine panics again and again: a sentence, the detail to copy, and Try again", LIMIT, async (t) => {
    crashEachTime(server, 3, "a panic");
    t.after(() => server.changed.delete(ENGINE));
    const page = await openPage(browser, server.origin);
    t.after(() => page.done());
    await state(page, "ready");
    await begin(page);
    await state(page, "error");
    assert.equal(await page.$eval("body", (body) => body.dataset.code), "internal");
    assert.match(await trouble(page), /internal error.*bug in unnoise/);
    const copied = await page.evaluate(() => new Promise((done) => {
      navigator.clipboard.writeText = async (text) => done(text);
      document.getElementById("error-copy").click();
    }));
    assert.match(copied, /^internal: .*panicked at .*\n.*a synthetic error/);
    assert.equal(await page.$eval("#error-copy", (button) => button.hidden), false);
    assert.equal(await page.$eval("body", (body) => body.dataset.restarts), "2");
    server.changed.delete(ENGINE);
    await page.click("#error-act");
    await state(page, "sampling", "done");
    await state(page, "done");
    assert.equal(await trouble(page), null);
  });

  test("no network at a later visit: the page and its model are there, and the pictures are the same", LIMIT, async (t) => {
    const own = await serveFiles();
    t.after(() => own.close());
    const page = await openPage(browser, own.origin);
    t.after(() => page.done());
    await state(page, "ready");
    const online = await generate(page);
    await page.evaluate(async () => {
      await navigator.serviceWorker.ready;
    });
    await own.close();
    await page.reload();
    await state(page, "ready");
    assert.equal(await generate(page), online);
  });

  test("no WebGPU: a sentence, and the noise", LIMIT, async (t) => {
    const plain = await launch({ webgpu: false });
    t.after(() => plain.close());
    const page = await openPage(plain, server.origin);
    await state(page, "error");
    assert.match(await trouble(page), /WebGPU/);
    assert.match(await trouble(page), /Chrome|graphics acceleration/);
    const [first] = await pictures(page);
    assert.ok(first?.spread > 40, "not a blank canvas");
    // The page logs the error that it explains; Firefox's driver does not say what was logged.
    assert.ok(page.seen.errors.every((error) => /UnnoiseError|JSHandle@error/.test(error)), page.seen.errors.join(" "));
  });

  for (const missing of ["/pkg/unnoise_bg.wasm", "/pkg/unnoise.js"]) {
    test(`${missing} missing: a sentence that names the remedy`, LIMIT, async (t) => {
      server.missing.add(missing);
      t.after(() => server.missing.delete(missing));
      const page = await openPage(browser, server.origin);
      t.after(() => page.done());
      await state(page, "error");
      assert.match(await trouble(page), /engine|scripts\/serve\.sh/);
    });
  }
});
