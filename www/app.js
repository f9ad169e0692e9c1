// The page. It holds the state, draws what client.js reports and never computes anything heavy itself.
//
// Hooks for tests (kept stable):
//   <body data-state="fetching|compiling|ready|sampling|done|error">, data-code on <body> names the error,
//   data-restarts counts recoveries from a lost GPU, and #grid[data-drawn] counts frames drawn.
//   Controls: #model #seed #dice #count-4 #count-16 #count-64 #sampler-ddim #sampler-ddpm #steps #steps-range #eta #class
//   #show-x_t #show-pred_x0 #generate (its data-act: generate|another|stop|queue|retry|reload) #cancel #save #link #theme
//   Shown: #grid canvas, #status, #progress, #timeline, #gpu, #model-facts, #live
//   Trouble: #error #error-what #error-todo #error-act #error-own #error-copy; #notice #notice-text #notice-act
//   Bring your own: #own-open #own #own-id #own-f16 #own-load #own-error #own-folder-input #own-files-input #own-forget
//   A picture: #viewer #viewer-canvas #viewer-save #viewer-scale #viewer-alone #viewer-previous #viewer-next #viewer-close
//   Phone: #settings-open #settings #settings-close
//   `import('/www/client.js')` in the page gives the page's own instance; its `loseDevice()` takes the GPU away.

import { explain, forgetModels, gpu, load, noise } from './client.js';
import { anySeed, fillOf, makeControls } from './controls.js';
import { makeGrid } from './grid.js';
import { makeOwn } from './own.js';
import { makeShell } from './shell.js';
import { BUNDLED, DEFAULTS, check, format, parse } from './state.js';
import { store } from './store.js';
import { makeViewer, saveGrid } from './viewer.js';
import { megabytes, nameOf, pace, plural, span } from './words.js';

const ui = Object.fromEntries(Array.from(document.querySelectorAll('[id]'), (element) => [element.id, element]));
const HISTORY_BYTES = 96 * 2 ** 20;

let state = { ...DEFAULTS };
let phase = 'fetching';
let model = null; // loaded and usable
let loading = null; // AbortController of the load under way
let running = null; // {stop: AbortController, steps: Generation, request}
let queued = false; // Generate was pressed before the model was there
let trouble = null; // what explain() said
let shape = BUNDLED[0]; // of the pictures: channels, height, width
let shown = null; // {rgba, step, view}: what is on the grid
let history = []; // {step, t, pictures} of this run, the noise first
let ran = null; // the state that the history was made with: the controls may have moved on since
let made = null; // key() of the state whose pictures are finished
let local = new Map(); // files:NAME -> files, for this visit

// ---- saying -----------------------------------------------------------------------------------------------------

function announce(text) {
  ui.live.textContent = text;
}

function say(text, act = null) {
  ui['notice-text'].textContent = text;
  ui['notice-act'].textContent = act?.label ?? '';
  ui['notice-act'].onclick = () => {
    ui.notice.hidden = true;
    act?.run();
  };
  ui.notice.hidden = false;
  announce(text);
}

// ---- showing -----------------------------------------------------------------------------------------------------

const firstNumber = () => state.image ?? 1;
const count = () => (state.image === null ? state.count : 1);
const grid = makeGrid(ui.grid, ui.frame, (i) => viewer.open(i));
const viewer = makeViewer(ui, () => ({ ...grid.shape, rgba: shown?.rgba, recipe }), {
  alone: (i) => set({ image: firstNumber() + i }),
  closed: (i) => grid.focus(i),
});

function show(rgba, step, view) {
  shown = { rgba, step, view };
  grid.draw(rgba);
  viewer.draw();
}

/** How the pictures on the grid were made; of one picture when its place on the grid is given. */
function recipe(i) {
  const of = ran ?? state;
  const whole = shown?.step === of.steps;
  return {
    unnoise: 1,
    model: of.model,
    hash: model?.info.hash ?? undefined,
    sampler: of.sampler,
    steps: of.steps,
    eta: of.sampler === 'ddim' ? of.eta : undefined,
    seed: of.seed,
    count: of.count,
    image: i === undefined ? (of.image ?? undefined) : (of.image ?? 1) + i,
    class: of.classLabel ?? undefined,
    width: grid.shape.width,
    height: grid.shape.height,
    // A picture saved half way says so.
    step: whole ? undefined : shown?.step,
    view: whole ? undefined : shown?.view,
    gpu: model?.gpu.name,
  };
}

let noiseWanted = 0;
let noising = null; // the noise being drawn

/** x_T of the present seed, drawn at once: no model and no GPU are needed for it. */
function drawNoise() {
  noising = drawNoiseNow();
}

async function drawNoiseNow() {
  const wanted = ++noiseWanted;
  const { channels, height, width } = shape;
  const n = count();
  try {
    const rgba = await noise({ seed: state.seed, first: firstNumber() - 1, count: n, channels, height, width });
    if (wanted !== noiseWanted) return;
    grid.reshape(n, width, height, firstNumber());
    history = [{ step: 0, t: null, pictures: { x_t: rgba, pred_x0: rgba } }];
    ran = { ...state };
    show(rgba, 0, 'x_t');
    render();
    viewer.refresh();
  } catch (error) {
    if (wanted === noiseWanted && phase !== 'error') fail(error);
  }
}

function enter(next) {
  phase = next;
  document.body.dataset.state = next;
  render();
}

const ACTS = {
  generate: ['Generate', 'Space'],
  another: ['Another seed', 'Space'],
  stop: ['Stop', 'Esc'],
  queue: ['Generate', 'Space'],
  queued: ['Starts when ready', ''],
  retry: ['Try again', 'Space'],
  reload: ['Reload the page', 'Space'],
};

/** The class that a model takes for the one that is wanted; null where it takes none. */
const classOf = (info, wanted) => (info.num_classes === null ? null : Math.min(wanted ?? 0, info.num_classes - 1));

function act() {
  if (phase === 'sampling') return 'stop';
  if (phase === 'error') return trouble.act;
  if (phase === 'fetching' || phase === 'compiling') return queued ? 'queued' : 'queue';
  return phase === 'done' && made === key() ? 'another' : 'generate';
}

/** Everything on the page that follows from the state. Nothing here changes the layout. */
function render() {
  const now = act();
  const [label, key] = ACTS[now];
  ui['generate-label'].textContent = label;
  ui['generate-key'].textContent = key;
  ui.generate.dataset.act = now;
  ui.cancel.hidden = phase !== 'fetching' || !loading;
  const scrub = history.length > 1 && (phase === 'ready' || phase === 'done');
  ui.timeline.hidden = !scrub;
  ui.progress.hidden = scrub;
  if (scrub) {
    ui.timeline.max = String(history.length - 1);
    fillOf(ui.timeline);
  }
  ui.save.disabled = !shown;
  const ddim = state.sampler === 'ddim';
  ui.eta.disabled = !ddim;
  ui['eta-hint'].textContent = ddim ? '0: same noise, same picture.\n1: fresh noise each step.' : 'DDPM always adds fresh noise.';
  ui.alone.hidden = state.image === null;
  ui['alone-text'].textContent = `Only picture ${state.image} of seed ${state.seed}`;
  ui.error.hidden = phase !== 'error';
}

/** Changes the state: the address, the controls, and the noise when the pictures will begin differently. */
function set(change) {
  const before = state;
  state = { ...state, ...change };
  // Of another model the class is settled once that has arrived.
  if (model && state.model === before.model) state.classLabel = classOf(model.info, state.classLabel);
  const changed = (key) => before[key] !== state[key];
  window.history.replaceState(null, '', format(state));
  controls.put(local.keys());
  if (changed('show') && shown) {
    running?.steps?.show(views());
    at(Number(ui.timeline.value));
  }
  const begins = ['model', 'seed', 'count', 'image', 'classLabel'].some(changed);
  if (begins) {
    running?.stop.abort();
    running = null;
    made = null;
    if (model && !loading && phase !== 'error') {
      enter('ready');
      status('');
    }
    if (!changed('model')) drawNoise();
  }
  if (phase === 'error' && model && !changed('model')) enter('ready');
  render();
  if (changed('model')) open(state.model);
}

function status(text) {
  ui.status.textContent = text || '\u00a0';
}

/** Shows a moment of the run that is kept. */
function at(i) {
  const moment = history[Math.min(i, history.length - 1)];
  const view = moment?.pictures[state.show] ? state.show : Object.keys(moment?.pictures ?? {})[0];
  if (!view || running) return;
  show(moment.pictures[view], moment.step, view);
}

// ---- loading -----------------------------------------------------------------------------------------------------

async function open(id) {
  const bundled = BUNDLED.find((one) => one.id === id);
  loading?.abort();
  running?.stop.abort();
  running = null;
  const own = (loading = new AbortController());
  const files = new Map(); // name -> {loaded, total}
  const previous = model;
  model = null;
  made = null;
  trouble = null;
  ui['model-facts'].textContent = '\u00a0';
  ui.progress.removeAttribute('value');
  status(`Fetching ${nameOf(id)}`);
  enter('fetching');
  if (bundled) shape = bundled;
  drawNoise();
  try {
    await previous?.dispose();
    const source = bundled ? bundled.url : (local.get(id) ?? id);
    const loaded = await load(source, {
      dtype: bundled || store.read('f16') === false ? undefined : 'f16',
      signal: own.signal,
      onProgress: (event) => progress(event, own, id, files),
    });
    if (loading !== own) return loaded.dispose();
    loading = null;
    model = loaded;
    arrived(id);
  } catch (error) {
    if (loading !== own) return;
    loading = null;
    if (error.code === 'aborted') cancelled(id);
    else fail(error);
  }
}

function progress(event, own, id, files) {
  if (event.status === 'lost') return lost();
  if (loading !== own) {
    // The model is being loaded again after a loss, while nothing waits for it.
    if (model && !running && event.status === 'ready') {
      status('The GPU is back.');
      enter(made ? 'done' : 'ready');
    }
    return;
  }
  if (event.status === 'config') {
    const { sample_size: size, in_channels: channels = 3 } = event.config ?? {};
    const [height, width] = Array.isArray(size) ? size : [size, size];
    const sane = (n, most) => Number.isInteger(n) && n >= 1 && n <= most;
    if (sane(height, 1024) && sane(width, 1024) && sane(channels, 4)) {
      if (height !== shape.height || width !== shape.width || channels !== shape.channels) {
        shape = { channels, height, width };
        drawNoise();
      }
    }
  } else if (event.status === 'progress') {
    files.set(event.file, event);
    const all = Array.from(files.values());
    const had = all.reduce((sum, { loaded }) => sum + loaded, 0);
    const total = all.every((file) => file.total) && /safetensors$/.test(event.file) ? all.reduce((sum, file) => sum + file.total, 0) : 0;
    if (total) ui.progress.value = had / total;
    else ui.progress.removeAttribute('value');
    status(`Fetching ${nameOf(id)} · ${total ? `${megabytes(had)} of ${megabytes(total)}` : `${megabytes(had)} so far`}`);
  } else if (event.status === 'compile') {
    if (phase !== 'compiling') {
      enter('compiling');
      announce('Preparing the GPU.');
    }
    ui.progress.value = event.total ? event.done / event.total : 0;
    status(`Preparing the GPU · ${event.done} of ${event.total}`);
  } else if (event.status === 'not-kept') {
    say('The browser had no room to keep this model; the next visit fetches it again.');
  }
}

function arrived(id) {
  const { info } = model;
  shape = { channels: info.channels, height: info.height, width: info.width };
  const size = info.parameters >= 1e6 ? `${(info.parameters / 1e6).toFixed(info.parameters < 1e7 ? 2 : 1)} M` : `${Math.round(info.parameters / 1e3)} k`;
  ui['model-facts'].textContent = `${info.width} × ${info.height} · ${size} parameters`;
  showGpu(model.gpu);
  ui['class-field'].hidden = info.num_classes === null;
  ui.class.max = String((info.num_classes ?? 1) - 1);
  const classLabel = classOf(info, state.classLabel);
  if (!id.startsWith('files:') && !BUNDLED.some((one) => one.id === id)) {
    store.write('models', [id, ...(store.read('models') ?? []).filter((other) => other !== id)].slice(0, 8));
  }
  status('');
  enter('ready');
  if (classLabel !== state.classLabel) set({ classLabel });
  controls.put(local.keys());
  announce(`${nameOf(id)} is ready.`);
  if (grid.shape.width !== info.width || grid.shape.height !== info.height) drawNoise();
  if (queued) {
    queued = false;
    generate();
  }
}

function cancelled(id) {
  queued = false;
  trouble = { act: 'retry', what: `Fetching ${nameOf(id)} was cancelled.`, todo: '', detail: 'aborted', code: 'aborted' };
  showTrouble();
}

function showGpu({ name, class: kind }) {
  ui.gpu.textContent = kind === 'software' ? 'No GPU: running on the processor, slowly' : `GPU: ${name || 'this browser does not say which'}`;
  ui.gpu.title = name;
}

// ---- generating --------------------------------------------------------------------------------------------------

const request = () => ({
  sampler: state.sampler,
  steps: state.steps,
  eta: state.sampler === 'ddim' ? state.eta : 0,
  seed: state.seed,
  count: count(),
  first: state.image === null ? undefined : state.image - 1,
  classLabel: state.classLabel,
});

/** What decides the pictures: all of the state but which view of them is shown. */
const key = () => JSON.stringify([state.model, request()]);

const bytesOf = () => 4 * count() * shape.width * shape.height;
// Both views of every step while that is little memory: then one can switch and scrub freely afterwards.
const views = () => (2 * bytesOf() * state.steps <= HISTORY_BYTES ? [...new Set([state.show, 'x_t', 'pred_x0'])] : [state.show]);

async function generate() {
  if (!model || running) return;
  const stop = new AbortController();
  const wanted = request();
  const made_ = key();
  const own = (running = { stop, request: wanted, steps: null });
  const begun = performance.now();
  made = null;
  ran = { ...state };
  ui.progress.value = 0;
  status(`Step 0 of ${wanted.steps}`);
  enter('sampling');
  announce(`Generating ${plural(wanted.count, 'picture')}.`);
  let spoken = 0;
  try {
    // A seed typed a moment ago: its noise is what the run begins as.
    await noising;
    if (running !== own) return;
    restart();
    own.steps = model.generate({ ...wanted, preview: views() }, { signal: stop.signal });
    for await (const step of own.steps) {
      if (running !== own) return;
      if (step.restarted) {
        restart();
        document.body.dataset.restarts = String(Number(document.body.dataset.restarts ?? 0) + 1);
        ui.progress.value = 0;
        lost();
        continue;
      }
      if (step.done) {
        finish(step, made_);
        return;
      }
      const picture = step.pictures?.[state.show] ?? step.rgba;
      // Pictures that do not fit the GPU's memory together come batch after batch, each with all its steps.
      const [batches, before] = [Math.ceil(step.count / step.batch), Math.floor(step.image / step.batch) * step.steps];
      const every = Math.ceil((views().length * bytesOf() * step.steps * batches) / HISTORY_BYTES);
      if (step.pictures && (before + step.step) % every === 0) history.push({ step: step.step, t: step.t, first: batches > 1 ? step.image : null, pictures: step.pictures });
      if (picture) show(picture, step.step, step.pictures[state.show] ? state.show : Object.keys(step.pictures)[0]);
      ui.progress.value = step.progress;
      status([
        `Step ${step.step} of ${step.steps}`,
        step.batch < step.count ? `picture ${step.image + 1} on` : `t = ${step.t}`,
        step.itPerSecond && pace(step.itPerSecond),
        step.secondsLeft !== undefined && `${span(step.secondsLeft)} left`,
      ].filter(Boolean).join(' · '));
      // A long run speaks up now and then; a short one is over before a sentence is.
      const quarter = Math.floor(4 * step.progress);
      if (quarter > spoken && performance.now() - begun > 8000) announce(`${25 * quarter} percent.`);
      spoken = Math.max(spoken, quarter);
    }
  } catch (error) {
    if (running !== own) return;
    running = null;
    if (error.code === 'aborted') stopped();
    else fail(error);
  }
}

/** Back to the noise that every run of this seed begins as. */
function restart() {
  history = history.slice(0, 1);
  if (history.length) show(history[0].pictures.x_t, 0, 'x_t');
}

function finish(step, made_) {
  running = null;
  made = made_;
  // The last step may have been seen as a view already: the result takes its place.
  if (history.at(-1).step === step.steps) history.pop();
  history.push({ step: step.steps, t: step.t, pictures: { x_t: step.rgba, pred_x0: step.rgba } });
  show(step.rgba, step.steps, 'x_t');
  ui.progress.value = 1;
  atEnd();
  const text = `${plural(step.count, 'picture')} in ${span(step.seconds)} · ${pace(step.itPerSecond)}`;
  status(text);
  announce(`Done: ${text}.`);
  enter('done');
  viewer.refresh();
}

/** A moment of the run in words. */
const told = ({ step, t, first = null }) => [
  step ? `Step ${step} of ${ran.steps}` : `Noise · before step 1 of ${ran.steps}`,
  first !== null && `picture ${first + 1} on`,
  step && `t = ${t}`,
].filter(Boolean).join(' · ');

/** The timeline at its end. */
function atEnd() {
  ui.timeline.max = String(history.length - 1);
  ui.timeline.value = ui.timeline.max;
  if (history.length) ui.timeline.setAttribute('aria-valuetext', told(history.at(-1)));
}

function stopped() {
  atEnd();
  status(`Stopped at step ${shown?.step ?? 0} of ${ran.steps}`);
  announce('Stopped.');
  enter('ready');
}

function lost() {
  const then = running ? ` continuing from seed ${state.seed}.` : '';
  status(`The GPU was reset by the system. Getting it back…${then}`);
  announce(`The GPU was reset by the system. Getting it back.${then}`);
}

// ---- trouble -----------------------------------------------------------------------------------------------------

function fail(error) {
  console.error(error);
  trouble = explain(error);
  queued = false;
  running = null;
  if (trouble.code === 'internal' || trouble.code === 'engine') model = null;
  showTrouble();
}

function showTrouble() {
  ui['error-what'].textContent = trouble.what;
  ui['error-todo'].textContent = trouble.todo;
  ui['error-act'].textContent = ACTS[trouble.act][0];
  ui['error-own'].hidden = trouble.act === 'reload';
  ui['error-copy'].hidden = trouble.code === 'aborted';
  ui['error-copy'].textContent = 'Copy the detail';
  document.body.dataset.code = trouble.code;
  status('');
  // Noise stands there instead of whatever was half done; without an engine the tiles stay plain.
  if (!grid.shape.count) grid.reshape(count(), shape.width, shape.height, firstNumber());
  enter('error');
  if (trouble.code !== 'engine') drawNoise();
  announce(`${trouble.what} ${trouble.todo}`);
}

// ---- acts --------------------------------------------------------------------------------------------------------

function press() {
  switch (act()) {
    case 'stop':
      return running?.stop.abort();
    case 'another':
      set({ seed: anySeed() });
      // Also where the field has the focus, which `set` leaves alone.
      ui.seed.value = String(state.seed);
      return generate();
    case 'queue':
    case 'queued':
      queued = !queued;
      return render();
    case 'reload':
      return location.reload();
    case 'retry':
      delete document.body.dataset.code;
      if (!model) return open(state.model);
      enter('ready');
      return generate();
    default:
      delete document.body.dataset.code;
      if (!model) return open(state.model);
      if (phase === 'error') enter('ready');
      return generate();
  }
}

async function copy(button, text) {
  const label = (button.dataset.label ??= button.textContent);
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = 'Copied';
    announce('Copied.');
  } catch {
    button.textContent = 'Copying is not allowed';
    announce('The browser does not allow copying. The link is the address of this page.');
  }
  setTimeout(() => (button.textContent = label), 1600);
}

const { sheet } = makeShell(ui);
const controls = makeControls(ui, () => state, {
  set,
  announce,
  again() {
    if (phase !== 'done') return;
    made = null;
    render();
  },
});
ui.controls.addEventListener('submit', (event) => {
  event.preventDefault();
  press();
});
ui['error-act'].addEventListener('click', press);
ui['error-copy'].addEventListener('click', () => copy(ui['error-copy'], trouble.detail));
ui['notice-close'].addEventListener('click', () => (ui.notice.hidden = true));
ui.cancel.addEventListener('click', () => loading?.abort());
ui.link.addEventListener('click', () => copy(ui.link, new URL(format(state), location.href).href));
ui.save.addEventListener('click', () => shown && saveGrid(shown.rgba, grid.shape, recipe()));
ui['alone-end'].addEventListener('click', () => set({ image: null }));
ui.timeline.addEventListener('input', () => {
  const moment = history[Number(ui.timeline.value)];
  if (!moment) return;
  fillOf(ui.timeline);
  at(Number(ui.timeline.value));
  status(told(moment));
  ui.timeline.setAttribute('aria-valuetext', told(moment));
});
ui.model.addEventListener('change', () => {
  if (ui.model.value !== 'own') return set({ model: ui.model.value, classLabel: null });
  ui.model.value = state.model;
  own.open();
});

const own = makeOwn(ui, {
  files(found, name) {
    const id = check('model', `files:${name.slice(0, 90)}`) ?? 'files:local files';
    local.set(id, found);
    sheet(false);
    if (state.model === id) open(id);
    else set({ model: id, classLabel: null });
  },
  id(id, f16) {
    store.write('f16', f16);
    sheet(false);
    if (state.model === id) open(id);
    else set({ model: id, classLabel: null });
  },
  recipe({ state: { model: from, ...settings }, lost }) {
    set(settings);
    const but = lost.length ? ` What this page has no control for is not: ${lost.join(', ')}.` : '';
    if (!from || from === state.model) say(`The settings of this picture are back.${but}`);
    else offer(from, `${but.trim()} This picture was made with`.trim(), settings.classLabel);
  },
  say,
  forget: forgetModels,
});

/** A model that a link or a picture names is fetched from elsewhere only when the visitor says so. */
function offer(id, because, classLabel = null) {
  if (id.startsWith('files:')) return say(`${because} files called “${nameOf(id)}”. Bring them to see the same pictures.`);
  const bundled = BUNDLED.some((one) => one.id === id);
  const host = /^https?:/.test(id) ? new URL(id).host : 'huggingface.co';
  say(`${because} ${nameOf(id)}.`, {
    label: bundled ? 'Use it' : `Fetch it from ${host}`,
    run: () => set({ model: id, classLabel }),
  });
}

// ---- keyboard ----------------------------------------------------------------------------------------------------

addEventListener('keydown', (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (document.querySelector('dialog[open], [popover]:popover-open')) return;
  if (event.key === 'Escape') {
    if (ui.settings.classList.contains('open')) sheet(false);
    else if (running) running.stop.abort();
  }
  if (event.key !== ' ') return;
  // Where Space already means something, it keeps its meaning.
  const target = event.target instanceof Element ? event.target : document.body;
  if (target.closest('button, a, select, textarea, input[type=text], input[type=checkbox], input[type=radio]:not(:checked)')) return;
  event.preventDefault();
  if (!running) press();
});

// ---- beginning ---------------------------------------------------------------------------------------------------

function begin() {
  const { state: wanted, ignored } = parse(location.hash);
  const known = BUNDLED.some(({ id }) => id === wanted.model) || local.has(wanted.model) || (store.read('models') ?? []).includes(wanted.model);
  const { model: asked, classLabel } = wanted;
  if (!known) wanted.model = BUNDLED.some(({ id }) => id === state.model) ? state.model : DEFAULTS.model;
  const first = !loading && !model && phase === 'fetching';
  const moved = first || wanted.model !== state.model;
  if (first) state = wanted;
  else set(wanted);
  controls.put(local.keys());
  render();
  if (first && moved) open(state.model);
  const odd = ignored.length ? `Part of this link was not understood and left out: ${ignored.join(', ')}. ` : '';
  if (!known) offer(asked, `${odd}This link is for`, classLabel);
  else if (odd) say(odd);
}

addEventListener('hashchange', begin);
begin();
// Keeps the page itself for visits without a network; nothing depends on it.
navigator.serviceWorker?.register('./sw.js').catch(() => {});
// Known long before the model is there; a failure is told by the load, which needs the GPU too.
gpu().then(showGpu, () => {});
