// Starts the browser that the environment names: BROWSER=chromium (the default) or firefox, at the path in CHROMIUM or
// FIREFOX, or where Debian installs it. The same driver works for both, so each test is written once.

import { promises as fs } from "node:fs";
import os from "node:os";
import path from "node:path";
import puppeteer from "puppeteer-core";

export const NAME = process.env.BROWSER === "firefox" ? "firefox" : "chromium";
export const IS_FIREFOX = NAME === "firefox";

/** How long a test may wait, in milliseconds. It only ends tests that hang: shaders compile slowly on a busy machine. */
export const PATIENCE = 900_000;

const CHROMIUM_FLAGS = [
  "--no-sandbox", // the tests may run as root, in a container
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-quic",
  "--disable-sync",
  "--no-first-run",
  // A page in a window that nobody sees must run at full speed.
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
  const common = { headless: true, protocolTimeout: PATIENCE };
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

/** A new folder for the files of one test, which is removed when the test ends. */
export async function temporaryFolder(t) {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), "unnoise-"));
  t.after(() => fs.rm(folder, { recursive: true, force: true }));
  return folder;
}
