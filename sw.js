// Lets the page open without a network after the first visit. The network always comes first, so that nobody is stuck
// with an old page; models are kept by www/model-cache.js and pass through here untouched.

const STORE = 'unnoise-page-1';
const PAGE = [
  './',
  './www/app.js', './www/client.js', './www/controls.js', './www/errors.js', './www/grid.js', './www/model-cache.js',
  './www/own.js', './www/png.js', './www/shell.js', './www/state.js', './www/store.js', './www/viewer.js',
  './www/words.js', './www/worker.js', './www/styles.css', './www/icon.svg',
  './pkg/unnoise.js', './pkg/unnoise_bg.wasm',
];

self.addEventListener('install', (event) => {
  event.waitUntil(caches.open(STORE).then((store) => store.addAll(PAGE)).then(() => self.skipWaiting()));
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  const mine = request.method === 'GET' && url.origin === location.origin && PAGE.some((path) => new URL(path, location.href).href === url.origin + url.pathname);
  if (!mine) return;
  event.respondWith((async () => {
    const store = await caches.open(STORE);
    const key = url.origin + url.pathname;
    try {
      const response = await fetch(request);
      if (response.ok) event.waitUntil(store.put(key, response.clone()).catch(() => {}));
      return response;
    } catch (error) {
      const kept = await store.match(key);
      if (kept) return kept;
      throw error;
    }
  })());
});
