// Lets the page open without a network after the first visit. The network always comes first, so that nobody is stuck with
// an old page. Models pass through untouched: www/model-cache.js keeps them.

const STORE = 'unnoise-page-3';
const PAGE = [
  './',
  './www/app.js', './www/client.js', './www/controls.js', './www/errors.js', './www/grid.js', './www/link.js',
  './www/loading.js', './www/model-cache.js', './www/own.js', './www/pictures.js', './www/png.js', './www/running.js',
  './www/screen.js', './www/shell.js', './www/state.js', './www/store.js', './www/viewer.js', './www/words.js',
  './www/worker.js', './www/worker/device.js', './www/worker/models.js', './www/worker/run.js',
  './www/styles.css', './www/icon.svg', './pkg/unnoise.js', './pkg/unnoise_bg.wasm',
];

/** Keeps the whole page or nothing: modules of two versions do not fit together. `no-cache` asks the server again. */
async function keep() {
  const responses = await Promise.all(PAGE.map(async (path) => {
    const response = await fetch(path, { cache: 'no-cache' });
    if (!response.ok) throw new Error(`${path}: status ${response.status}`);
    return response;
  }));
  const store = await caches.open(STORE);
  await Promise.all(PAGE.map((path, i) => store.put(new URL(path, location.href).href, responses[i])));
}

self.addEventListener('install', (event) => {
  event.waitUntil(keep().then(() => self.skipWaiting()));
});

self.addEventListener('activate', (event) => {
  event.waitUntil(caches.keys().then((names) => Promise.all(
    names.filter((name) => name.startsWith('unnoise-page-') && name !== STORE).map((name) => caches.delete(name)),
  )));
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  const mine = request.method === 'GET' && url.origin === location.origin && PAGE.some((path) => new URL(path, location.href).href === url.origin + url.pathname);
  if (!mine) return;
  event.respondWith((async () => {
    try {
      // The request of a navigation takes no options; browsers ask the server for it by themselves.
      const navigates = request.mode === 'navigate';
      const response = await (navigates ? fetch(request) : fetch(request, { cache: 'no-cache' }));
      if (navigates && response.ok) event.waitUntil(keep().catch(() => {}));
      return response;
    } catch (error) {
      const store = await caches.open(STORE);
      const kept = await store.match(url.origin + url.pathname);
      if (kept) return kept;
      throw error;
    }
  })());
});
