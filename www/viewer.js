// Shows one picture enlarged beside its recipe, and saves pictures with their recipes inside.

import { contactSheet, encode, enlarge, parameters } from './png.js';

const SHEET_SIDE = 1024; // a saved grid is enlarged, by a whole number, to about this many pixels

/** Writes a PNG with its recipe and hands it to the browser to save. */
async function save(rgba, width, height, recipe, name) {
  const bytes = await encode(rgba, width, height, { parameters: parameters(recipe), unnoise: JSON.stringify(recipe) });
  const url = URL.createObjectURL(new Blob([bytes], { type: 'image/png' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

const fileName = ({ model, seed, image }) =>
  `unnoise ${model.replace(/^files:/, '').replaceAll(/[^\w.-]+/g, '-')} seed ${seed}${image ? ` picture ${image}` : ''}.png`.replaceAll(' ', '_');

/** Saves all pictures on one sheet. Gaps and enlargement are whole numbers, so every pixel can be recovered from it. */
export function saveGrid(rgba, { count, width, height }, recipe) {
  const columns = Math.ceil(Math.sqrt(count));
  const scale = Math.max(1, Math.floor(SHEET_SIDE / (columns * Math.max(width, height))));
  const size = 4 * width * height;
  const pictures = Array.from({ length: count }, (_, i) => enlarge(rgba.slice(i * size, (i + 1) * size), width, height, scale));
  const gap = count === 1 ? 0 : Math.max(4, 2 * Math.round((scale * width) / 16));
  const sheet = contactSheet(pictures, scale * width, scale * height, columns, gap, 0xffffffff);
  return save(sheet.rgba, sheet.width, sheet.height, { ...recipe, enlarged: scale, gap }, fileName(recipe));
}

/**
 * @param {Record<string, any>} ui elements by id
 * @param {() => {rgba?: Uint8ClampedArray, count: number, width: number, height: number, recipe: (i: number) => any}} look what is shown now
 * @param {{alone: (i: number) => void, closed: (i: number) => void}} acts
 */
export function makeViewer(ui, look, acts) {
  let index = 0;
  const context = ui['viewer-canvas'].getContext('2d', { alpha: false });

  const pixels = () => {
    const { rgba = new Uint8ClampedArray(0), width, height } = look();
    return rgba.slice(4 * width * height * index, 4 * width * height * (index + 1));
  };

  function draw() {
    const { width, height, rgba } = look();
    const canvas = ui['viewer-canvas'];
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    if (rgba) context.putImageData(new ImageData(pixels(), width, height), 0, 0);
  }

  function fill() {
    const { width, height, count, recipe } = look();
    const it = recipe(index);
    const ratio = window.devicePixelRatio || 1;
    const narrow = innerWidth <= 720;
    const room = Math.min(narrow ? innerWidth - 66 : innerWidth - 400, innerHeight * (narrow ? 0.45 : 0.75), 576);
    const smooth = Math.max(width, height) >= 128;
    const fit = room / Math.max(width, height);
    const scale = smooth ? fit : Math.max(1, Math.floor(fit * ratio)) / ratio;
    const canvas = ui['viewer-canvas'];
    canvas.classList.toggle('smooth', smooth);
    canvas.style.width = `${width * scale}px`;
    canvas.style.height = `${height * scale}px`;
    ui['viewer-title'].textContent = `Picture ${it.image}`;
    const rows = {
      Model: it.model,
      Seed: it.seed,
      Picture: `${it.image}${count > 1 ? ` of ${count}` : ''}`,
      Sampler: it.sampler === 'ddim' ? `DDIM, η ${it.eta}` : 'DDPM',
      Steps: it.step === undefined ? it.steps : `${it.step} of ${it.steps}`,
      Class: it.class ?? undefined,
      Size: `${width} × ${height}`,
    };
    ui['viewer-recipe'].replaceChildren(...Object.entries(rows).filter(([, value]) => value !== undefined).flatMap(([name, value]) => {
      const term = document.createElement('dt');
      const what = document.createElement('dd');
      term.textContent = name;
      what.textContent = value;
      return [term, what];
    }));
    const scales = [...new Set([Math.max(1, Math.floor(256 / width)), 1, Math.max(1, Math.floor(512 / width)), Math.max(1, Math.floor(1024 / width))])];
    ui['viewer-scale'].replaceChildren(...scales.map((k) => new Option(`${k * width} × ${k * height}`, String(k))));
    ui['viewer-alone'].disabled = count === 1;
    ui['viewer-previous'].disabled = index === 0;
    ui['viewer-next'].disabled = index === count - 1;
    draw();
  }

  function go(by) {
    const { count } = look();
    index = Math.min(count - 1, Math.max(0, index + by));
    fill();
    // A button that has just been disabled would lose the focus, and the arrow keys with it.
    if (document.activeElement?.matches(':disabled') || document.activeElement === document.body) ui['viewer-close'].focus();
  }

  ui['viewer-close'].addEventListener('click', () => ui.viewer.close());
  ui['viewer-previous'].addEventListener('click', () => go(-1));
  ui['viewer-next'].addEventListener('click', () => go(1));
  ui['viewer-alone'].addEventListener('click', () => {
    ui.viewer.close();
    acts.alone(index);
  });
  ui['viewer-save'].addEventListener('click', () => {
    const { width, height, recipe } = look();
    const scale = Number(ui['viewer-scale'].value);
    const it = recipe(index);
    save(enlarge(pixels(), width, height, scale), width * scale, height * scale, { ...it, enlarged: scale }, fileName(it));
  });
  ui.viewer.addEventListener('keydown', (event) => {
    if (event.target === ui['viewer-scale']) return;
    if (event.key === 'ArrowLeft') go(-1);
    if (event.key === 'ArrowRight') go(1);
  });
  ui.viewer.addEventListener('click', (event) => {
    if (event.target === ui.viewer) ui.viewer.close();
  });
  ui.viewer.addEventListener('close', () => acts.closed(index));

  return {
    open(i) {
      index = i;
      fill();
      ui.viewer.showModal();
    },
    /** Shows what is on the grid. */
    refresh() {
      if (!ui.viewer.open) return;
      if (index >= look().count) ui.viewer.close();
      else fill();
    },
    draw() {
      if (ui.viewer.open) draw();
    },
  };
}
