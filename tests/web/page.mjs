// What the tests know about the page: how to open it, wait for its states and inspect its pictures.

import { IS_FIREFOX, PATIENCE } from "./browser.mjs";

/** Few pictures and steps, so that a run on a software adapter takes seconds. */
export const SMALL = "n=4&steps=5&seed=3";

/**
 * Opens the page in a profile of its own (nothing kept from other tests) and records what a visitor would not see:
 * errors, requests, long tasks.
 * @param {import("puppeteer-core").Browser} browser
 * @param {string} origin
 * @param {{hash?: string, width?: number, height?: number, scheme?: "light"|"dark", touch?: boolean}} [options]
 */
export async function openPage(browser, origin, { hash = SMALL, width = 1280, height = 800, scheme = "light" } = {}) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  const seen = { errors: [], requests: [] };
  page.on("console", (message) => {
    if (message.type() === "error") seen.errors.push(message.text());
  });
  page.on("pageerror", (error) => seen.errors.push(String(error)));
  page.on("request", (request) => seen.requests.push(request.url()));
  page.on("dialog", (dialog) => {
    seen.errors.push(`a dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  await page.setViewport({ width, height });
  await setScheme(page, scheme);
  await page.evaluateOnNewDocument(record);
  await page.goto(`${origin}/${hash ? `#${hash}` : ""}`);
  return Object.assign(page, { seen, done: () => context.close() });
}

/** Light or dark. Firefox's protocol has no such command: there the system's theme is tested. */
export async function setScheme(page, scheme) {
  if (!IS_FIREFOX) await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
}

/** Runs in the page before the page's own code. */
function record() {
  window.longTasks = [];
  if (PerformanceObserver.supportedEntryTypes.includes("longtask")) {
    new PerformanceObserver((list) => {
      for (const { startTime, duration } of list.getEntries()) window.longTasks.push({ startTime, duration });
    }).observe({ type: "longtask", buffered: true });
  }
  window.refused = [];
  document.addEventListener("securitypolicyviolation", (event) => window.refused.push(`${event.violatedDirective} ${event.blockedURI}`));
  // Saved files, as they are handed to the browser.
  window.saved = [];
  const make = URL.createObjectURL;
  URL.createObjectURL = (blob) => {
    const url = make.call(URL, blob);
    window.saved.push({ url, blob });
    return url;
  };
  const click = HTMLAnchorElement.prototype.click;
  HTMLAnchorElement.prototype.click = function () {
    const file = window.saved.find(({ url }) => url === this.href);
    if (file) file.name = this.download;
    else click.call(this);
  };
}

/** Waits until the page is in one of these states. An unexpected error state ends the wait with its message. */
export async function state(page, ...wanted) {
  const handle = await page.waitForFunction(
    (wanted) => {
      const now = document.body.dataset.state;
      return wanted.includes(now) || now === "error" ? now : null;
    },
    { timeout: PATIENCE, polling: 50 },
    wanted,
  );
  const now = await handle.jsonValue();
  if (!wanted.includes(now)) throw new Error(`the page says: ${await trouble(page)}`);
  return now;
}

/** The page's error message, or null. */
export const trouble = (page) =>
  page.evaluate(() => {
    const box = document.getElementById("error");
    return box.hidden ? null : box.innerText.trim();
  });

/** Pixels of every picture, as digests and statistics. */
export async function pictures(page) {
  // Requested drawing happens in the next frame.
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  return page.evaluate(async () => {
    const list = [];
    for (const canvas of document.querySelectorAll("#grid canvas")) {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
      let sum = 0;
      let squares = 0;
      for (let i = 0; i < data.length; i++) {
        if (i % 4 === 3) continue;
        sum += data[i];
        squares += data[i] ** 2;
      }
      const n = (data.length / 4) * 3;
      list.push({
        digest: Array.from(hash.subarray(0, 12), (byte) => byte.toString(16).padStart(2, "0")).join(""),
        spread: Math.sqrt(squares / n - (sum / n) ** 2),
        width: canvas.width,
        height: canvas.height,
      });
    }
    return list;
  });
}

export const digests = async (page) => (await pictures(page)).map(({ digest }) => digest).join(" ");

/**
 * Begins a run with the current settings. Typing the current seed again requests the same pictures; without that, the button
 * of a finished run offers another seed.
 */
export async function begin(page) {
  await set(page, "seed", await page.$eval("#seed", (input) => input.value));
  await page.click("#generate");
  await state(page, "sampling", "done");
}

/**
 * Does something when the next run reaches a step: takes the device away ("lose"), or crashes the engine ("crash", see
 * crash.mjs). The page itself watches for the step, so that it is not missed on a slow machine. Call it before the run
 * begins; the returned promise settles when it is done.
 */
export const atStep = (page, step, what) =>
  page.evaluate(
    (step, what) =>
      new Promise((done, fail) => {
        const status = document.getElementById("status");
        const acts = {
          lose: async () => (await import(new URL("www/client.js", document.baseURI).href)).loseDevice(),
          crash: async () => new BroadcastChannel("crash").postMessage("now"),
        };
        const observer = new MutationObserver(() => {
          if (!(Number(/^Step (\d+) of/.exec(status.textContent)?.[1]) >= step)) return;
          observer.disconnect();
          acts[what]().then(done, fail);
        });
        observer.observe(status, { childList: true, characterData: true, subtree: true });
      }),
    step,
    what,
  );

/** A whole run with the current settings; gives the digests of its pictures. */
export async function generate(page) {
  await begin(page);
  await state(page, "done");
  return digests(page);
}

/** Changes a control as a person would: the value, then the events that follow. */
export async function set(page, id, value) {
  await page.evaluate(
    (id, value) => {
      const element = document.getElementById(id);
      element.value = value;
      element.dispatchEvent(new Event("input", { bubbles: true }));
      element.dispatchEvent(new Event("change", { bubbles: true }));
    },
    id,
    String(value),
  );
}

/** Chooses a radio button by its id; the visible part of it is its label. */
export const choose = (page, id) => page.evaluate((id) => document.getElementById(id).click(), id);

/** The files that the page has saved, in order: {name, bytes}. */
export async function savedFiles(page, atLeast = 1) {
  await page.waitForFunction((n) => window.saved.filter(({ name }) => name).length >= n, { timeout: 30_000 }, atLeast);
  const files = await page.evaluate(() =>
    Promise.all(
      window.saved
        .filter(({ name }) => name)
        .map(async ({ name, blob }) => {
          const bytes = new Uint8Array(await blob.arrayBuffer());
          let text = "";
          for (let i = 0; i < bytes.length; i += 4096) text += String.fromCharCode(...bytes.subarray(i, i + 4096));
          return { name, base64: btoa(text) };
        }),
    ),
  );
  return files.map(({ name, base64 }) => ({ name, bytes: Buffer.from(base64, "base64") }));
}
