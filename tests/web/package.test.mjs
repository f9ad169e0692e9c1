// Tests that need no browser: the types of the page's modules and of the npm API, and the lists of files in the npm package
// and the service worker.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { promises as fs } from "node:fs";
import path from "node:path";
import { test } from "node:test";

import { IS_FIREFOX } from "./browser.mjs";
import { ROOT } from "./server.mjs";

const skip = IS_FIREFOX && "the same in every browser";
const TSC = path.join(ROOT, "tests/web/node_modules/typescript/bin/tsc");

/** The compiler's complaints; empty if there are none. */
const tsc = (...args) =>
  new Promise((resolve) => {
    execFile(process.execPath, [TSC, "--noEmit", ...args], { cwd: ROOT }, (error, stdout, stderr) => resolve(error ? stdout || stderr || String(error) : ""));
  });

/** The paths that a module imports, relative to the repository. */
async function imports(file) {
  const text = await fs.readFile(path.join(ROOT, file), "utf8");
  const code = text.replace(/^\s*(\/\/|\*|\/\*\*).*$/gm, "");
  const found = code.matchAll(/(?:from |import\(|new URL\()'(\.[^']+\.js)'/g);
  return Array.from(found, ([, relative]) => path.posix.join(path.posix.dirname(file), relative));
}

/** Every module that is reached from one, including itself. */
async function reached(file, all = new Set()) {
  if (all.has(file)) return all;
  all.add(file);
  // wasm-bindgen's module has no imports of ours, only its .wasm file.
  if (file === "pkg/unnoise.js") all.add("pkg/unnoise_bg.wasm");
  else for (const other of await imports(file)) await reached(other, all);
  return all;
}

test("the page and the worker keep to the types of their messages, and client.js to client.d.ts", { skip }, async () => {
  assert.equal(await tsc("-p", "www"), "");
});

test("a strict TypeScript project can use all of the API", { skip }, async () => {
  const strict = ["--strict", "--skipLibCheck", "false", "--target", "esnext", "--module", "esnext", "--moduleResolution", "bundler", "--types", ""];
  assert.equal(await tsc(...strict, "tests/web/consumer.ts"), "");
});

test("the npm package holds what client.js reaches, and nothing else", { skip }, async () => {
  const { files } = JSON.parse(await fs.readFile(path.join(ROOT, "package.json"), "utf8"));
  const wanted = [...(await reached("www/client.js")), "www/client.d.ts"];
  assert.deepEqual(files.sort(), wanted.sort());
});

test("the service worker keeps what the page reaches", { skip }, async () => {
  const text = await fs.readFile(path.join(ROOT, "sw.js"), "utf8");
  const kept = Array.from(text.matchAll(/'\.\/([^']+)'/g), ([, file]) => file);
  const html = await fs.readFile(path.join(ROOT, "index.html"), "utf8");
  const linked = Array.from(html.matchAll(/(?:src|href)="(www\/[^"]+)"/g), ([, file]) => file);
  const wanted = new Set(linked);
  for (const file of linked.filter((file) => file.endsWith(".js"))) for (const module of await reached(file)) wanted.add(module);
  assert.deepEqual(kept.sort(), [...wanted].sort());
});
