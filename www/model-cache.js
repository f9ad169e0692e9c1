// Where a model's files come from: a folder behind a URL, a repository on the Hugging Face hub, or the visitor's own files.
//
// The browser keeps what was fetched (Cache API), under its URL and with the identity that the server gave it: an ETag, or
// date and length; some servers give neither. A later visit asks the server again, and uses the kept copy if the identity
// is the same or there is no network. A hub revision that is a full commit hash never changes, so it is not asked for again.

import { UnnoiseError } from './errors.js';

const STORE = 'unnoise-models-1';
const HUB = 'https://huggingface.co';
const JSON_CAP = 4 * 2 ** 20;
const WEIGHTS_CAP = 4 * 2 ** 30;

const REPOSITORY = /^[\w-][\w.-]{0,95}\/[\w-][\w.-]{0,95}$/;
const REVISION = /^[\w-][\w./-]{0,120}$/;
const COMMIT = /^[0-9a-f]{40}$/;

/** Whether a text is a path on this site: it begins like a path, or has two slashes and so cannot be a repository. */
export const isPath = (text) => /^(\.{0,2}\/|[^/:@]+\/[^/:@]+\/[^/])/.test(text);

/**
 * Finds what a caller named: `owner/name`, `hf:owner/name`, `owner/name@revision`, an address on the hub's web site, or
 * the URL of a folder (a relative one begins with `./`, `../` or `/`, or has two slashes).
 * @returns {{name: string, base: string, hub: string|null, pinned: boolean}}
 */
export function locate(source, { revision = 'main', hub = HUB, page = globalThis.location?.href } = {}) {
  let id = source.trim().replace(/^hf:/, '');
  const site = /^https:\/\/(?:huggingface\.co|hf\.co)\/([^/?#]+\/[^/?#]+)(?:\/(?:tree|resolve|blob)\/([^/?#]+))?\/?$/.exec(id);
  if (site) id = site[2] ? `${site[1]}@${site[2]}` : site[1];
  const [repository, pin] = id.split('@');
  if (REPOSITORY.test(repository) && !/^\.|\.\.|^https?:/.test(id)) {
    const at = pin ?? revision;
    if (!REVISION.test(at) || at.includes('..')) {
      throw new UnnoiseError('bad-request', `“${at}” is not a revision. Use a branch, a tag or a commit hash.`);
    }
    return { name: repository, base: `${hub}/${repository}/resolve/${encodeURIComponent(at)}/`, hub: repository, pinned: COMMIT.test(at) };
  }
  let url;
  try {
    url = new URL(source.trim(), page);
  } catch {
    url = null;
  }
  if (!url || !/^https?:$/.test(url.protocol) || !(/^https?:\/\//.test(source.trim()) || isPath(source.trim()))) {
    throw new UnnoiseError('bad-request', `“${source}” is neither a repository id such as google/ddpm-cifar10-32 nor the address of a folder.`);
  }
  url.hash = '';
  url.search = '';
  // The address of a file means its folder.
  url.pathname = url.pathname.replace(/(unet\/|scheduler\/)?[^/]+\.(json|safetensors)$/, '').replace(/\/?$/, '/');
  const parts = url.pathname.split('/').filter(Boolean);
  const resolve = parts.indexOf('resolve');
  const name = resolve >= 2 ? parts.slice(resolve - 2, resolve).join('/') : (parts.at(-1) ?? url.host);
  return { name: decodeURIComponent(name), base: url.href, hub: null, pinned: false };
}

/**
 * Gathers the files of a model. The configuration comes first, so that the shape is known before the weights arrive.
 *
 * @param {(path: string, cap: number) => Promise<Uint8Array|null>} get the bytes of a file, or null if there is none
 * @param {{dtype?: 'f16', where: string, onConfig?: (config: object) => void}} options
 * @returns {Promise<{paths: string[], contents: Uint8Array[]}>}
 */
export async function gather(get, { dtype, where, onConfig }) {
  const paths = [];
  const contents = [];
  const take = async (path, cap = JSON_CAP) => {
    const bytes = await get(path, cap);
    if (bytes) {
      paths.push(path);
      contents.push(bytes);
    }
    return bytes;
  };
  const pipeline = await take('model_index.json');
  let folder = pipeline ? 'unet/' : '';
  let config = await take(`${folder}config.json`);
  if (!config && !pipeline) {
    config = await take('unet/config.json');
    if (config) folder = 'unet/';
  }
  if (!config) {
    throw new UnnoiseError('not-found', pipeline
      ? `${where} has no unet/config.json. Only pipelines with a UNet2DModel and a scheduler can run here.`
      : `${where} has neither model_index.json nor config.json, so it is not a diffusers model.`);
  }
  try {
    onConfig?.(JSON.parse(new TextDecoder().decode(config)));
  } catch {
    // The engine reads the file too, and says what is wrong with it.
  }
  await take(folder ? 'scheduler/scheduler_config.json' : 'scheduler_config.json');

  const stem = `${folder}diffusion_pytorch_model`;
  const variants = [`${stem}.safetensors`, `${stem}.fp16.safetensors`];
  if (dtype === 'f16') variants.reverse();
  for (const path of variants) {
    if (await take(path, WEIGHTS_CAP)) return { paths, contents };
  }
  const index = await take(`${stem}.safetensors.index.json`);
  if (index) {
    for (const shard of shards(index)) {
      if (await take(folder + shard, WEIGHTS_CAP)) continue;
      throw new UnnoiseError('not-found', `${where} lacks ${folder + shard}, which ${stem}.safetensors.index.json names.`);
    }
    return { paths, contents };
  }
  throw new UnnoiseError('unsupported',
    `${where} has no ${stem}.safetensors. Pickles (.bin) are never opened here: convert one in diffusers with `
    + 'save_pretrained(…, safe_serialization=True).');
}

function shards(index) {
  let map;
  try {
    map = JSON.parse(new TextDecoder().decode(index)).weight_map;
  } catch {
    map = null;
  }
  const names = [...new Set(Object.values(map ?? {}))];
  if (!names.length || names.length > 64 || !names.every((name) => /^[\w.-]{1,120}\.safetensors$/.test(name))) {
    throw new UnnoiseError('bad-file', 'The safetensors index does not name usable weight files.');
  }
  return names;
}

/**
 * A `get` for `gather` that reads files from this machine. The model may be any number of folders deep.
 * @param {{[path: string]: Blob}} files
 */
export function fromFiles(files, report) {
  const all = Object.keys(files).map((path) => path.replaceAll('\\', '/').replace(/^\/+/, ''));
  const blobs = new Map(all.map((path, i) => [path, Object.values(files)[i]]));
  const mark = ['model_index.json', 'config.json']
    .map((name) => all.filter((path) => path === name || path.endsWith(`/${name}`)).sort((a, b) => a.split('/').length - b.split('/').length)[0])
    .find((path) => path !== undefined);
  let root = mark?.includes('/') ? mark.slice(0, mark.lastIndexOf('/') + 1) : '';
  // Only `unet/config.json`, no model_index.json: if the folder above has a scheduler, that folder is the model.
  if (root.endsWith('unet/') && all.some((path) => path.startsWith(`${root.slice(0, -5)}scheduler/`))) root = root.slice(0, -5);
  const lone = all.filter((path) => path.endsWith('.safetensors'));
  return async (path, cap) => {
    let blob = blobs.get(root + path);
    // If there is only one weights file, its name does not matter.
    if (!blob && lone.length === 1 && /(^|\/)diffusion_pytorch_model\.safetensors$/.test(path)) blob = blobs.get(lone[0]);
    if (!blob) return null;
    if (blob.size > cap) throw new UnnoiseError('too-large', `${path} has ${blob.size} bytes. Files of up to ${cap} bytes can be read.`);
    report({ status: 'initiate', file: path });
    let bytes;
    try {
      bytes = new Uint8Array(await blob.arrayBuffer());
    } catch (error) {
      throw new UnnoiseError('bad-file', `${path} could not be read. It may have been moved or changed after it was chosen.`, String(error));
    }
    report({ status: 'progress', file: path, loaded: bytes.length, total: bytes.length });
    report({ status: 'done', file: path });
    return bytes;
  };
}

/** A `get` for `gather` that fetches over http, with progress, cancelling, and the browser's cache. */
export function fromUrl({ base, hub, pinned }, report, signal) {
  return async (path, cap) => {
    const url = new URL(path, base).href;
    const store = await openStore();
    const kept = await store?.match(url);
    if (kept && pinned) return whole(kept, path, report);

    report({ status: 'initiate', file: path });
    let response;
    try {
      response = await fetch(url, { signal, credentials: 'omit', referrerPolicy: 'no-referrer' });
    } catch (error) {
      if (signal?.aborted) throw aborted();
      if (kept) return whole(kept, path, report);
      throw unreachable(url, error);
    }
    if (!response.ok) {
      response.body?.cancel().catch(() => {});
      if (response.status === 404 || response.status === 410) {
        missing(response, hub, path);
        // It must also be known without a network that an optional file does not exist.
        if (store) await keep(store, url, null, null, path, report);
        return null;
      }
      if (kept && response.status >= 500) return whole(kept, path, report);
      throw refused(response, hub, url);
    }
    const identity = identify(response);
    if (kept && identity && kept.headers.get('x-unnoise-identity') === identity) {
      response.body?.cancel().catch(() => {});
      return whole(kept, path, report);
    }
    report({ status: 'download', file: path });
    const bytes = await read(response, path, cap, report, signal);
    // A copy without an identity is used only when there is no network.
    if (store) await keep(store, url, bytes, identity, path, report);
    report({ status: 'done', file: path });
    return bytes;
  };
}

/** Forgets a model whose files turned out to be bad, so that the next attempt fetches them again. */
export async function forget(base) {
  const store = await openStore();
  if (!store) return;
  for (const request of await store.keys()) if (request.url.startsWith(base)) await store.delete(request);
}

/** Forgets every model, and gives the number of bytes freed. */
export async function forgetAll() {
  const store = await openStore();
  if (!store) return 0;
  let bytes = 0;
  for (const request of await store.keys()) {
    bytes += Number((await store.match(request))?.headers.get('content-length')) || 0;
  }
  await caches.delete(STORE);
  return bytes;
}

// Private windows and insecure pages may have no cache. Everything still works, only slower.
async function openStore() {
  try {
    return await globalThis.caches?.open(STORE);
  } catch {
    return undefined;
  }
}

async function keep(store, url, bytes, identity, path, report) {
  try {
    const headers = { 'content-length': String(bytes?.length ?? 0), 'x-unnoise-identity': identity ?? '' };
    await store.put(url, new Response(bytes, { status: bytes ? 200 : 404, headers }));
  } catch (error) {
    report({ status: 'not-kept', file: path, reason: String(error) });
  }
}

async function whole(kept, path, report) {
  if (kept.status === 404) return null;
  const bytes = new Uint8Array(await kept.arrayBuffer());
  report({ status: 'progress', file: path, loaded: bytes.length, total: bytes.length, cached: true });
  report({ status: 'done', file: path, cached: true });
  return bytes;
}

// What distinguishes the versions of a file. Headers that another origin hides are absent.
function identify(response) {
  const tag = response.headers.get('x-linked-etag') ?? response.headers.get('etag');
  if (tag) return tag.replace(/^W\//, '');
  const date = response.headers.get('last-modified');
  const length = response.headers.get('content-length');
  return date && length ? `${date} ${length}` : null;
}

async function read(response, path, cap, report, signal) {
  const length = Number(response.headers.get('content-length')) || 0;
  if (length > cap) {
    response.body?.cancel().catch(() => {});
    throw new UnnoiseError('too-large', `${path} has ${length} bytes. Files of up to ${cap} bytes can be read.`);
  }
  // With a content-encoding the length counts compressed bytes, and another origin may hide that header. So the length
  // only sizes the first buffer and the progress bar; it is not an upper bound.
  const encoded = response.headers.get('content-encoding');
  let total = encoded ? 0 : length;
  let bytes = new Uint8Array(total || 2 ** 16);
  let loaded = 0;
  let told = 0;
  const reader = response.body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (loaded + value.length > cap) throw new UnnoiseError('too-large', `${path} has more than ${cap} bytes. Files of up to that size can be read.`);
      if (loaded + value.length > bytes.length) {
        const grown = new Uint8Array(Math.min(cap, Math.max(2 * bytes.length, loaded + value.length)));
        grown.set(bytes.subarray(0, loaded));
        bytes = grown;
        total = 0;
      }
      bytes.set(value, loaded);
      loaded += value.length;
      const now = performance.now();
      if (now - told > 50) {
        told = now;
        report({ status: 'progress', file: path, loaded, total: total || undefined });
      }
    }
  } catch (error) {
    reader.cancel().catch(() => {});
    if (signal?.aborted) throw aborted();
    if (error instanceof UnnoiseError) throw error;
    throw new UnnoiseError('network', `The connection was cut after ${loaded} bytes of ${path}.`, String(error));
  }
  if (total && loaded < total) {
    throw new UnnoiseError('network', `The connection ended after ${loaded} of ${total} bytes of ${path}.`);
  }
  report({ status: 'progress', file: path, loaded, total: loaded });
  return loaded === bytes.length ? bytes : bytes.slice(0, loaded);
}

// Most files of a model are optional, so a 404 is an answer. If the whole repository is missing, the hub says so in a header.
function missing(response, hub, path) {
  const code = response.headers.get('x-error-code');
  if (hub && code === 'RepoNotFound') throw new UnnoiseError('not-found', `There is no repository “${hub}” on the hub.`);
  if (hub && code === 'RevisionNotFound') throw new UnnoiseError('not-found', `“${hub}” has no such revision.`, path);
}

function refused(response, hub, url) {
  const host = new URL(url).host;
  if (response.status === 401 || response.status === 403) {
    return new UnnoiseError('forbidden', hub
      ? `“${hub}” does not exist on ${host}, or is private or gated.`
      : `${host} does not give this file to everyone (status ${response.status}).`, url);
  }
  if (response.status === 429) return new UnnoiseError('network', `${host} received too many requests (status 429). Try again in a minute.`, url);
  return new UnnoiseError('network', `${host} answered with status ${response.status}.`, url);
}

function unreachable(url, error) {
  const host = new URL(url).host;
  return navigator.onLine === false
    ? new UnnoiseError('network', 'There is no network, and this browser has not kept the model.', `${url}\n${error}`)
    : new UnnoiseError('network', `${host} could not be reached, or does not allow other sites to read its files (CORS).`, `${url}\n${error}`);
}

export const aborted = () => new UnnoiseError('aborted', 'Stopped.');
