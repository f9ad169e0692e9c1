// The grid of pictures: a button with a canvas for each, scaled by whole numbers so that pixels stay pixels.

const SMOOTH_FROM = 128; // pictures of at least this size look like photographs: they are scaled smoothly, to fit

/**
 * @param {HTMLElement} root the grid
 * @param {HTMLElement} frame the space it may fill
 * @param {(index: number) => void} open called when a picture is chosen
 */
export function makeGrid(root, frame, open) {
  /** @type {{button: HTMLButtonElement, canvas: HTMLCanvasElement, context: any}[]} */
  let tiles = [];
  let shape = { count: 0, width: 1, height: 1 };
  /** @type {Uint8ClampedArray<ArrayBuffer>|null} */
  let newest = null;
  let asked = 0;

  function layout() {
    const { count, width, height } = shape;
    if (!count) return;
    const columns = Math.ceil(Math.sqrt(count));
    const rows = Math.ceil(count / columns);
    const room = { width: frame.clientWidth, height: frame.clientHeight };
    const wish = Math.min(room.width, room.height) / columns;
    const gap = Math.max(4, Math.min(20, Math.round(wish / 10)));
    const fit = Math.min((room.width - gap * (columns - 1)) / (columns * width), (room.height - gap * (rows - 1)) / (rows * height));
    // Whole numbers of device pixels, so that every pixel of a picture has the same size.
    const ratio = window.devicePixelRatio || 1;
    const smooth = Math.max(width, height) >= SMOOTH_FROM;
    const scale = smooth ? Math.min(fit, 2) : Math.max(1, Math.floor(fit * ratio)) / ratio;
    root.style.setProperty('--columns', String(columns));
    root.style.setProperty('--gap', `${gap}px`);
    // The elements below are aligned with the pictures.
    frame.parentElement?.style.setProperty('--pictures', `${columns * (width * scale + gap) - gap}px`);
    root.classList.toggle('smooth', smooth);
    for (const { canvas } of tiles) {
      canvas.style.width = `${width * scale}px`;
      canvas.style.height = `${height * scale}px`;
    }
  }

  function reshape(count, width, height, numbers) {
    const same = shape.count === count && shape.width === width && shape.height === height;
    if (!same) {
      // Many small canvases that are only written to: plain memory (willReadFrequently) costs less than a GPU surface for each.
      shape = { count, width, height };
      newest = null;
      tiles = Array.from({ length: count }, (_, i) => {
        const canvas = document.createElement('canvas');
        canvas.width = width;
        canvas.height = height;
        const button = document.createElement('button');
        button.type = 'button';
        button.className = 'tile';
        button.tabIndex = i ? -1 : 0;
        button.append(canvas);
        button.addEventListener('click', () => open(i));
        return { button, canvas, context: canvas.getContext('2d', { alpha: false, willReadFrequently: true }) };
      });
      root.replaceChildren(...tiles.map(({ button }) => button));
      layout();
    }
    tiles.forEach(({ button }, i) => button.setAttribute('aria-label', `Picture ${numbers + i}`));
  }

  // Only the newest of the pictures that arrive within a frame is drawn.
  function draw(rgba) {
    newest = rgba;
    if (asked) return;
    asked = requestAnimationFrame(() => {
      asked = 0;
      if (!newest) return;
      const { width, height } = shape;
      const rgba = newest;
      const size = 4 * width * height;
      tiles.forEach(({ context }, i) => {
        context.putImageData(new ImageData(rgba.subarray(i * size, (i + 1) * size), width, height), 0, 0);
      });
      root.dataset.drawn = String(Number(root.dataset.drawn ?? 0) + 1);
    });
  }

  // Tab stops once at the grid; arrows move within it.
  root.addEventListener('keydown', (event) => {
    const at = tiles.findIndex(({ button }) => button === document.activeElement);
    const columns = Math.ceil(Math.sqrt(shape.count));
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -at, End: tiles.length - 1 - at }[event.key];
    if (at < 0 || step === undefined) return;
    event.preventDefault();
    const to = Math.min(tiles.length - 1, Math.max(0, at + step));
    tiles[at].button.tabIndex = -1;
    tiles[to].button.tabIndex = 0;
    tiles[to].button.focus();
  });

  new ResizeObserver(layout).observe(frame);
  return {
    reshape,
    draw,
    focus(i) {
      tiles.forEach(({ button }, at) => (button.tabIndex = at === i ? 0 : -1));
      tiles[i]?.button.focus();
    },
    get shape() {
      return shape;
    },
  };
}
