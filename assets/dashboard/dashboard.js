// A run's dashboard: reads what the trainer writes beside it (metrics.jsonl, samples/index.json,
// config.toml) and draws it. Any static server will do; `unnoise train --dashboard` is one.

const POLL_MS = 2000;
const $ = (id) => document.getElementById(id);
const rows = [];
let read = 0; // bytes of metrics.jsonl
let rest = ''; // the last line, which was not yet complete
let samples = [];
let total = 0;
let changed = Date.now();

/** What the server has of a file beyond `from`; null if there is no such file. */
async function part(path, from) {
  const response = await fetch(path, { cache: 'no-store', headers: from ? { Range: `bytes=${from}-` } : {} });
  if (response.status === 416) {
    // There is nothing new, or the file has become shorter: a run that went back writes its rows again.
    const length = Number(/\/(\d+)$/.exec(response.headers.get('Content-Range') ?? '')?.[1] ?? from);
    return length < from ? 'anew' : new Uint8Array();
  }
  if (!response.ok) return null;
  const bytes = new Uint8Array(await response.arrayBuffer());
  // A server without ranges sends all of it.
  if (!from || response.status !== 200) return bytes;
  return bytes.length < from ? 'anew' : bytes.subarray(from);
}

async function readMetrics() {
  let bytes = await part('metrics.jsonl', read);
  if (bytes === 'anew') {
    [read, rest, rows.length] = [0, '', 0];
    bytes = await part('metrics.jsonl', 0);
  }
  if (!bytes || bytes.length === 0) return false;
  read += bytes.length;
  const lines = (rest + new TextDecoder().decode(bytes)).split('\n');
  rest = lines.pop();
  for (const line of lines) {
    if (!line) continue;
    let row;
    try {
      row = JSON.parse(line);
    } catch {
      // The file was written again, and is now longer than what had been read.
      [read, rest, rows.length] = [0, '', 0];
      return false;
    }
    // A run that continued from an earlier step writes those rows again.
    while (rows.length && rows[rows.length - 1].step >= row.step) rows.pop();
    rows.push(row);
  }
  return true;
}

async function readSamples() {
  const bytes = await part('samples/index.json', 0);
  if (!bytes) return;
  const steps = JSON.parse(new TextDecoder().decode(bytes));
  if (steps.length === samples.length && steps.at(-1) === samples.at(-1)) return;
  const scrub = $('scrub');
  const atEnd = Number(scrub.value) >= samples.length - 1;
  samples = steps;
  scrub.max = String(samples.length - 1);
  scrub.disabled = samples.length < 2;
  if (atEnd) scrub.value = scrub.max;
  showSample();
}

function showSample() {
  const step = samples[Number($('scrub').value)];
  if (step === undefined) return;
  $('sample').src = `samples/step-${String(step).padStart(6, '0')}.png`;
  $('sample').alt = `Sample grid after ${step} steps`;
  $('sample-step').textContent = `step ${step}`;
}

/** A custom property as a colour that a canvas understands: computed colours have light-dark() resolved. */
const probe = document.body.appendChild(document.createElement('span'));
probe.hidden = true;
function colour(name) {
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
}

/** A number with three digits, in few characters. */
function figure(value) {
  const plain = Number(value.toPrecision(3)).toString();
  return plain.length <= 6 ? plain : value.toExponential(1);
}

/** About `most` round numbers from `low` to `high`: 1, 2 or 5 times a power of ten apart. */
function evenTicks(low, high, most) {
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((n) => n * power >= rough) * power;
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.max(0, Math.floor(high / step + 1e-9) - first + 1) }, (_, i) => (first + i) * step);
}

/** The same on a logarithmic axis: powers of ten, also 2 and 5 times them if there is room, and evenly spaced ones if these are too few. */
function logTicks(low, high, most) {
  const [from, to] = [Math.log10(low), Math.log10(high)];
  for (const digits of [[1, 2, 5], [1, 3], [1]]) {
    const ticks = [];
    for (let power = Math.floor(from); power <= to; power++) ticks.push(...digits.map((digit) => digit * 10 ** power));
    const inside = ticks.filter((tick) => tick >= low && tick <= high);
    if (inside.length < 2) return evenTicks(low, high, most);
    if (inside.length <= most + 1) return inside;
  }
  return evenTicks(from, to, most).filter(Number.isInteger).map((power) => 10 ** power);
}

/** Draws lines of [step, value] points with their own axes. */
function plot(id, lines, { logX = false, logY = false } = {}) {
  const canvas = $(id);
  const ratio = devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const context = canvas.getContext('2d');
  context.scale(ratio, ratio);
  const [left, bottom, top] = [52, 20, 8];
  const fx = (x) => (logX ? Math.log10(x) : x);
  const fy = (y) => (logY ? Math.log10(y) : y);
  const good = ([x, y]) => y !== null && Number.isFinite(fy(y)) && Number.isFinite(fx(x));
  const all = lines.flatMap((line) => line.points.filter(good));
  context.font = '11px system-ui';
  context.fillStyle = colour('--quiet');
  if (all.length < 2) {
    context.fillText('nothing to draw yet', left, height / 2);
    return;
  }
  const span = (values) => {
    let [low, high] = [Infinity, -Infinity];
    for (const v of values) { if (v < low) low = v; if (v > high) high = v; }
    return high > low ? [low, high] : [low - 0.5, high + 0.5];
  };
  const [x0, x1] = span(all.map(([x]) => fx(x)));
  const [y0, y1] = span(all.map(([, y]) => fy(y)));
  const px = (x) => left + ((fx(x) - x0) / (x1 - x0)) * (width - left - 8);
  const py = (y) => height - bottom - ((fy(y) - y0) / (y1 - y0)) * (height - bottom - top);
  context.strokeStyle = colour('--line');
  context.lineWidth = 1;
  const [x_low, x_high, y_low, y_high] = [logX ? 10 ** x0 : x0, logX ? 10 ** x1 : x1, logY ? 10 ** y0 : y0, logY ? 10 ** y1 : y1];
  for (const y of (logY ? logTicks : evenTicks)(y_low, y_high, 5)) {
    context.beginPath();
    context.moveTo(left, py(y));
    context.lineTo(width - 8, py(y));
    context.stroke();
    context.fillText(figure(y), 4, py(y) + 4);
  }
  for (const x of (logX ? logTicks : evenTicks)(x_low, x_high, Math.min(6, width / 90))) {
    const text = x.toLocaleString('en');
    const half = context.measureText(text).width / 2;
    context.fillText(text, Math.min(Math.max(px(x) - half, left), width - 2 * half), height - 4);
  }
  for (const line of lines) {
    context.strokeStyle = line.colour;
    context.globalAlpha = line.faint ? 0.3 : 1;
    context.lineWidth = line.faint ? 1 : 2;
    context.beginPath();
    let open = false;
    for (const point of line.points) {
      if (!good(point)) { open = false; continue; }
      const [x, y] = [px(point[0]), py(point[1])];
      if (open) context.lineTo(x, y); else context.moveTo(x, y);
      open = true;
    }
    context.stroke();
    context.globalAlpha = 1;
  }
}

function keys(id, names) {
  $(id).replaceChildren(...names.map(([name, line]) => {
    const key = document.createElement('span');
    const mark = document.createElement('i');
    mark.style.background = line;
    key.append(mark, name);
    return key;
  }));
}

/** Means of about `n` neighbours, for values that are noisy from row to row. */
function smooth(points, n) {
  const out = [];
  let mean = null;
  for (const [x, y] of points) {
    if (y === null) continue;
    mean = mean === null ? y : mean + (y - mean) / n;
    out.push([x, mean]);
  }
  return out;
}

function draw() {
  const scales = { logX: $('log-step').checked, logY: $('log-loss').checked };
  const of = (get) => rows.map((row) => [row.step, get(row)]);
  const lines = [{ points: of((row) => row.loss_smoothed), colour: colour('--accent') }];
  if ($('raw').checked) lines.unshift({ points: of((row) => row.loss), colour: colour('--quiet'), faint: true });
  plot('loss', lines, scales);
  keys('loss-keys', [['smoothed', 'var(--accent)'], ...($('raw').checked ? [['every row', 'var(--quiet)']] : [])]);
  const quarters = [0, 1, 2, 3].map((q) => ({
    points: smooth(of((row) => row.loss_quartiles[q]), 20),
    colour: colour(`--q${q + 1}`),
  }));
  plot('quartiles', quarters, scales);
  keys('quartiles-keys', [
    ['least noise', 'var(--q1)'], ['second quarter', 'var(--q2)'], ['third quarter', 'var(--q3)'], ['most noise', 'var(--q4)'],
  ]);
  plot('norm', [{ points: of((row) => row.grad_norm), colour: colour('--ink') }], { ...scales, logY: true });
  plot('lr', [{ points: of((row) => row.lr), colour: colour('--accent') }], { logX: scales.logX });
}

function status() {
  const last = rows.at(-1);
  if (!last) return;
  const number = (x, digits) => (x === null ? 'not finite' : x.toPrecision(digits));
  const of = total ? ` of ${total.toLocaleString('en')}` : '';
  const idle = Math.round((Date.now() - changed) / 1000);
  const skipped = last.skipped ? ` · ${last.skipped} skipped` : '';
  $('status').textContent =
    `step ${last.step.toLocaleString('en')}${of} · loss ${number(last.loss_smoothed, 4)} · gradient ${number(last.grad_norm, 3)}` +
    ` · lr ${last.lr.toExponential(2)} · ${last.images.toLocaleString('en')} images${skipped} · ${idle < 60 ? 'live' : `nothing new for ${idle} s`}`;
  if (total) $('progress').value = last.step / total;
}

async function poll() {
  try {
    if (await readMetrics()) {
      changed = Date.now();
      draw();
    }
    await readSamples();
    status();
  } catch (error) {
    $('status').textContent = `The run's files cannot be read just now (${error.message}). Trying again.`;
  }
  setTimeout(poll, POLL_MS);
}

for (const id of ['log-loss', 'log-step', 'raw']) $(id).addEventListener('change', draw);
$('scrub').addEventListener('input', showSample);
addEventListener('resize', draw);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
const config = await part('config.toml', 0);
if (config) {
  const text = new TextDecoder().decode(config);
  $('config').textContent = text;
  total = Number(/^max_steps\s*=\s*(\d+)/m.exec(text)?.[1] ?? 0);
}
draw();
poll();
