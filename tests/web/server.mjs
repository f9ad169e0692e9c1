// Two servers for the page tests, on ports the system picks:
//   serveFiles  the repository as static files, as any static host would give them
//   serveHub    a host that behaves like the Hugging Face hub, well or badly, chosen by repository name
// Run by itself (node tests/web/server.mjs [--port N]) it serves the repository for a person.

import { createHash } from "node:crypto";
import { createReadStream, promises as fs } from "node:fs";
import http from "node:http";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
export const FIXTURES = path.join(ROOT, "tests/fixtures");

const TYPES = {
  ".css": "text/css",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".json": "application/json",
  ".mjs": "text/javascript",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
  ".webmanifest": "application/manifest+json",
};

function listen(handler, port = 0) {
  const server = http.createServer((request, response) => {
    handler(request, response).catch((error) => {
      if (!response.headersSent) response.writeHead(error.code === "ENOENT" ? 404 : 500);
      response.end();
    });
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () =>
      resolve({
        origin: `http://localhost:${server.address().port}`,
        close: () => {
          server.closeAllConnections?.();
          return new Promise((done) => server.close(done));
        },
      }),
    );
  });
}

/** The file that a URL path names under `folder`, or null when it points outside. */
function inside(folder, pathname) {
  const file = path.join(folder, decodeURIComponent(pathname));
  return file === folder || file.startsWith(folder + path.sep) ? file : null;
}

/**
 * Serves the repository. For tests that break or delay something, three lists of URL paths: `missing` ones get a 404, `held`
 * ones are answered when their promise resolves, and the text of `changed` ones goes through a function.
 * @returns {Promise<{origin: string, close: () => Promise<void>, missing: Set<string>, held: Map<string, Promise<void>>,
 *   changed: Map<string, (text: string) => string>}>}
 */
export async function serveFiles(port = 0) {
  const missing = new Set();
  const held = new Map();
  const changed = new Map();
  const server = await listen(async (request, response) => {
    const { pathname } = new URL(request.url, "http://localhost");
    let file = inside(ROOT, pathname);
    if (!file || missing.has(pathname)) return void response.writeHead(404).end("not found");
    await held.get(pathname);
    if ((await fs.stat(file)).isDirectory()) file = path.join(file, "index.html");
    const headers = { "content-type": TYPES[path.extname(file)] ?? "application/octet-stream", "cache-control": "no-cache" };
    const change = changed.get(pathname);
    if (change) return void response.writeHead(200, headers).end(change(await fs.readFile(file, "utf8")));
    const { size } = await fs.stat(file);
    response.writeHead(200, { ...headers, "content-length": size });
    createReadStream(file).pipe(response);
  }, port);
  return { ...server, missing, held, changed };
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Like the hub: `/<owner>/<repo>/resolve/<revision>/<path>` redirects small files to another path of the same origin and
 * weights to another origin. The repository's name is a folder of `folder`; the owner's says how this host behaves:
 *
 *   test/<model>               files of tests/fixtures/unets/<model>, all well
 *   no-length/<model>          chunked transfer, no content-length
 *   no-weights/<model>         404 for every .safetensors
 *   gone/<model>               401 for everything, as the hub answers for a repository it does not have
 *   truncated/<model>          the weights' connection is cut half way
 *   no-cors/<model>            the other origin sends no access-control-allow-origin
 *   slow/<model>               the weights come in many small pieces, 50 ms apart
 *   corrupt/<model>            the weights' header gives a tensor another shape
 *   nan/<model>                one weight is NaN
 *
 * `requests` lists every path asked for; `aborted` counts answers whose connection the browser closed.
 */
export async function serveHub(folder = path.join(FIXTURES, "unets")) {
  const hub = { requests: [], aborted: 0 };
  const cors = { "access-control-allow-origin": "*", "access-control-expose-headers": "*" };

  async function send(response, kind, file, headers) {
    let body;
    try {
      body = await fs.readFile(file);
    } catch {
      return void response.writeHead(404, { ...headers, "x-error-code": "EntryNotFound" }).end("Entry not found");
    }
    const weights = file.endsWith(".safetensors");
    if (weights && kind === "corrupt") body = corruptShape(body).body;
    if (weights && kind === "nan") body = withNan(body).body;
    // As the hub does, so that a kept copy can be told from a newer one.
    headers = { ...headers, etag: `"${createHash("sha256").update(body).digest("hex")}"` };
    let finished = false;
    response.on("finish", () => (finished = true));
    response.on("close", () => (hub.aborted += finished ? 0 : 1));
    if (kind === "no-length") {
      response.writeHead(200, headers);
      for (let at = 0; at < body.length; at += 65536) response.write(body.subarray(at, at + 65536));
      return void response.end();
    }
    response.writeHead(200, { ...headers, "content-length": body.length });
    if (weights && kind === "truncated") {
      response.write(body.subarray(0, body.length >> 1));
      await sleep(50);
      return void response.destroy();
    }
    if (weights && kind === "slow") {
      const piece = Math.max(1, Math.ceil(body.length / 200));
      for (let at = 0; at < body.length && !response.destroyed; at += piece) {
        response.write(body.subarray(at, at + piece));
        await sleep(50);
      }
      return void response.end();
    }
    response.end(body);
  }

  const elsewhere = await listen(async (request, response) => {
    const [, , kind, ...rest] = new URL(request.url, "http://localhost").pathname.split("/");
    hub.requests.push(`elsewhere:${request.url}`);
    const file = inside(folder, rest.join("/"));
    if (!file) return void response.writeHead(404, cors).end();
    await send(response, kind, file, kind === "no-cors" ? {} : cors);
  });

  const front = await listen(async (request, response) => {
    const { pathname } = new URL(request.url, "http://localhost");
    hub.requests.push(pathname);
    if (request.method === "OPTIONS") {
      return void response.writeHead(204, { ...cors, "access-control-allow-headers": "*" }).end();
    }
    const cached = pathname.match(/^\/cache\/([^/]+)\/(.+)$/);
    if (cached) {
      const file = inside(folder, cached[2]);
      return file ? send(response, cached[1], file, cors) : void response.writeHead(404, cors).end();
    }
    const match = pathname.match(/^\/([^/]+)\/([^/]+)\/resolve\/([^/]+)\/(.+)$/);
    if (!match) return void response.writeHead(404, cors).end("not found");
    const [, kind, model, , name] = match;
    if (kind === "gone") {
      return void response.writeHead(401, { ...cors, "x-error-code": "RepoNotFound" }).end("Invalid username or password.");
    }
    const weights = name.endsWith(".safetensors");
    const file = inside(folder, `${model}/${name}`);
    const exists = file && (await fs.stat(file).catch(() => null));
    if (!exists || (kind === "no-weights" && weights)) {
      return void response.writeHead(404, { ...cors, "x-error-code": "EntryNotFound" }).end("Entry not found");
    }
    if (weights) {
      const location = `${elsewhere.origin}/blob/${kind}/${model}/${name}`;
      return void response.writeHead(302, { ...cors, location }).end();
    }
    response.writeHead(307, { ...cors, location: `/cache/${kind}/${model}/${name}` }).end();
  });

  return Object.assign(hub, {
    origin: front.origin,
    close: () => Promise.all([front.close(), elsewhere.close()]),
  });
}

/** Reads a safetensors file: its header, and where the data begins. */
export function readSafetensors(bytes) {
  const length = Number(bytes.readBigUInt64LE(0));
  return { header: JSON.parse(bytes.subarray(8, 8 + length).toString()), data: 8 + length };
}

/** The same file with `conv_in.weight` transposed in its header: another shape with the same number of bytes. */
export function corruptShape(bytes) {
  const { header, data } = readSafetensors(bytes);
  const entry = header["conv_in.weight"];
  entry.shape = [entry.shape[1], entry.shape[0], ...entry.shape.slice(2)];
  return { body: rebuild(header, bytes.subarray(data)), tensor: "conv_in.weight" };
}

/** The same file with a NaN as the first value of `conv_out.bias`. */
export function withNan(bytes) {
  const { header, data } = readSafetensors(bytes);
  const body = Buffer.from(bytes);
  const entry = header["conv_out.bias"];
  if (entry.dtype !== "F32") throw new Error(`expected F32, not ${entry.dtype}`);
  body.writeUInt32LE(0x7fc00000, data + entry.data_offsets[0]);
  return { body, tensor: "conv_out.bias" };
}

function rebuild(header, data) {
  let text = JSON.stringify(header);
  text += " ".repeat((8 - (text.length % 8)) % 8);
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(Buffer.byteLength(text)));
  return Buffer.concat([size, Buffer.from(text), data]);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const at = process.argv.indexOf("--port");
  const wanted = at < 0 ? 8000 : Number(process.argv[at + 1]);
  const server = await serveFiles(wanted).catch((error) => {
    if (error.code !== "EADDRINUSE" || process.argv.includes("--exact")) {
      console.error(`error: port ${wanted} cannot be used: ${error.code}`);
      process.exit(1);
    }
    return serveFiles();
  });
  console.log(`\n  unnoise is at ${server.origin.replace("localhost", "127.0.0.1")}/   (Ctrl-C stops it)\n`);
}
