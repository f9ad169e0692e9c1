// Starts the browser that the environment names: BROWSER=chromium (default) or firefox, at the path
// in CHROMIUM or FIREFOX, or where Debian puts it. One driver for both, so that every test is one text.

import { promises as fs } from "node:fs";
import os from "node:os";
import path from "node:path";
import puppeteer from "puppeteer-core";

export const NAME = process.env.BROWSER === "firefox" ? "firefox" : "chromium";
export const IS_FIREFOX = NAME === "firefox";

const CHROMIUM_FLAGS = [
  "--no-sandbox", // the tests may run as root, in a container
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-quic",
  "--disable-sync",
  "--no-first-run",
  // A page in a window that nobody looks at must run at full speed.
  "--disable-background-timer-throttling",
  "--disable-renderer-backgrounding",
];

const FIREFOX_PREFS = {
  "app.normandy.enabled": false,
  "app.update.disabledForTesting": true,
  "browser.safebrowsing.downloads.enabled": false,
  "browser.safebrowsing.malware.enabled": false,
  "datareporting.policy.dataSubmissionEnabled": false,
  "dom.webgpu.enabled": true,
  "gfx.webgpu.ignore-blocklist": true,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "toolkit.telemetry.enabled": false,
};

/**
 * @param {{webgpu?: boolean}} [options] `webgpu: false` starts a browser that has none
 * @returns {Promise<import("puppeteer-core").Browser>}
 */
export async function launch({ webgpu = true } = {}) {
  const common = { headless: true, protocolTimeout: 400_000 };
  if (IS_FIREFOX) {
    return puppeteer.launch({
      ...common,
      browser: "firefox",
      executablePath: process.env.FIREFOX ?? "/usr/bin/firefox-esr",
      extraPrefsFirefox: { ...FIREFOX_PREFS, "dom.webgpu.enabled": webgpu },
    });
  }
  return puppeteer.launch({
    ...common,
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: webgpu ? [...CHROMIUM_FLAGS, "--enable-unsafe-webgpu"] : CHROMIUM_FLAGS,
  });
}

/** A folder of its own for one test's files, removed by `t.after`. */
export async function temporaryFolder(t) {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), "unnoise-"));
  t.after(() => fs.rm(folder, { recursive: true, force: true }));
  return folder;
}
