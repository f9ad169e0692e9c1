// axe-core over the page in each of its looks and states: light and dark, desktop and phone; ready, done, failed, dialogs.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import axe from "axe-core";

import { IS_FIREFOX, PATIENCE, launch } from "./browser.mjs";
import { generate, openPage, set, setScheme, state } from "./page.mjs";
import { serveFiles } from "./server.mjs";

const LIMIT = { timeout: PATIENCE };
const DESKTOP = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 844 };
const CONFIG = "/www/models/emoji-16/unet/config.json";
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

let server;
let browser;
let page; // goes through all looks; its model is compiled once
let seed = 3;

before(async () => {
  server = await serveFiles();
  browser = await launch();
  page = await openPage(browser, server.origin, DESKTOP);
});

after(async () => {
  await browser?.close();
  await server?.close();
});

async function check(page, when) {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate((rules) => window.axe.run(document, { runOnly: rules }), RULES);
  const told = violations.map(({ id, help, nodes }) => `${id}: ${help}\n${nodes.map(({ html, failureSummary }) => `  ${html}\n  ${failureSummary}`).join("\n")}`);
  assert.deepEqual(told, [], when);
}

/** Nothing sticks out sideways, and what can be touched is large enough for a finger (WCAG 2.5.8: 24 px). */
async function checkRoom(page) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(wide <= 0, `${wide} px wider than the window`);
}

for (const scheme of IS_FIREFOX ? ["light"] : ["light", "dark"]) {
  for (const [name, size] of Object.entries({ desktop: DESKTOP, phone: PHONE })) {
    test(`${scheme}, ${name}`, LIMIT, async () => {
      await page.setViewport(size);
      await setScheme(page, scheme);
      await set(page, "seed", (seed += 1));
      await state(page, "ready");
      await check(page, "ready");
      await checkRoom(page);

      await generate(page);
      await check(page, "done");

      await page.click("#grid button");
      await page.waitForSelector("#viewer[open]");
      await check(page, "one picture");
      await checkRoom(page);
      await page.keyboard.press("Escape");

      if (await page.$eval("#settings-open", (button) => button.offsetParent !== null)) {
        await page.click("#settings-open");
        await check(page, "settings open");
      }
      await page.click("#own-open");
      await page.waitForSelector("#own[open]");
      await check(page, "bring your own");
      await checkRoom(page);
      await page.keyboard.press("Escape");
      if (await page.$eval("#settings", (sheet) => sheet.classList.contains("open"))) await page.keyboard.press("Escape");
    });
  }

  test(`${scheme}, an error`, LIMIT, async (t) => {
    server.missing.add(CONFIG);
    t.after(() => server.missing.delete(CONFIG));
    const page = await openPage(browser, server.origin, { ...DESKTOP, scheme });
    t.after(() => page.done());
    await state(page, "error");
    await check(page, "error");
  });
}

test("reduced motion: nothing moves by itself", { ...LIMIT, skip: IS_FIREFOX && "no such command in its protocol" }, async (t) => {
  t.after(() => page.emulateMediaFeatures([]));
  await page.emulateMediaFeatures([{ name: "prefers-reduced-motion", value: "reduce" }]);
  await state(page, "ready", "done");
  const moving = await page.evaluate(() =>
    [...document.querySelectorAll("*")]
      .filter((element) => {
        const { transitionDuration, animationName, animationDuration } = getComputedStyle(element);
        const seconds = (list) => Math.max(...list.split(",").map(Number.parseFloat));
        return seconds(transitionDuration) > 0.01 || (animationName !== "none" && seconds(animationDuration) > 0.01);
      })
      .map((element) => element.outerHTML.slice(0, 80)),
  );
  assert.deepEqual(moving, []);
});
