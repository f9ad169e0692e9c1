// Writes PNG files that say how they were made, and reads that back.
//
// A picture is encoded here, not by a canvas, because browsers that guard against fingerprinting alter what a canvas
// returns. A recipe is only worth keeping with the exact picture.

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
const FILE_CAP = 64 * 2 ** 20;
const TEXT_CAP = 2 ** 16;

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k += 1) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

function crc32(bytes) {
  let c = 0xffffffff;
  for (const byte of bytes) c = TABLE[(c ^ byte) & 255] ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}

function chunk(type, data) {
  const bytes = new Uint8Array(12 + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  for (let i = 0; i < 4; i += 1) bytes[4 + i] = type.charCodeAt(i);
  bytes.set(data, 8);
  view.setUint32(8 + data.length, crc32(bytes.subarray(4, 8 + data.length)));
  return bytes;
}

// tEXt holds only Latin-1. JSON writes everything else as escapes, and readers of `parameters` cope with them.
const latin1 = (text) => Uint8Array.from(
  text.replace(/[\u0100-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`),
  (c) => c.charCodeAt(0),
);

/**
 * Encodes 8-bit RGB pixels with text chunks.
 * @param {Uint8ClampedArray} rgba pixels; alpha is ignored
 * @param {Record<string, string>} texts keyword -> text
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
export async function encode(rgba, width, height, texts = {}) {
  const stride = 3 * width + 1;
  const lines = new Uint8Array(stride * height);
  for (let y = 0, from = 0; y < height; y += 1) {
    // Each line begins with its filter: 0 means none.
    for (let x = 0, to = y * stride + 1; x < width; x += 1, from += 4) {
      lines[to++] = rgba[from];
      lines[to++] = rgba[from + 1];
      lines[to++] = rgba[from + 2];
    }
  }
  const packed = new Blob([lines]).stream().pipeThrough(new CompressionStream('deflate'));
  const head = new Uint8Array(13);
  new DataView(head.buffer).setUint32(0, width);
  new DataView(head.buffer).setUint32(4, height);
  head.set([8, 2, 0, 0, 0], 8); // 8 bits, RGB, deflate, adaptive filters, not interlaced
  const chunks = [
    SIGNATURE,
    chunk('IHDR', head),
    chunk('sRGB', Uint8Array.of(0)),
    ...Object.entries(texts).map(([key, text]) => chunk('tEXt', latin1(`${key}\0${text}`))),
    chunk('IDAT', new Uint8Array(await new Response(packed).arrayBuffer())),
    chunk('IEND', new Uint8Array(0)),
  ];
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

/**
 * The text chunks of a PNG.
 * @param {Uint8Array} bytes a file from anywhere; nothing in it is trusted
 * @returns {Record<string, string>|null} null if this is not a PNG
 */
export function texts(bytes) {
  if (bytes.length > FILE_CAP || bytes.length < 8 || SIGNATURE.some((byte, i) => bytes[i] !== byte)) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = Object.create(null);
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at);
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (length > bytes.length - at - 12 || type === 'IEND') break;
    if (type === 'tEXt' && length <= TEXT_CAP) {
      const data = bytes.subarray(at + 8, at + 8 + length);
      const end = data.indexOf(0);
      if (end > 0 && end < 80) found[new TextDecoder('latin1').decode(data.subarray(0, end))] = new TextDecoder('latin1').decode(data.subarray(end + 1));
    }
    at += 12 + length;
  }
  return found;
}

/** Enlarges by a whole number: each pixel becomes a block, so nothing is blurred and nothing is invented. */
export function enlarge(rgba, width, height, scale) {
  const from = new Uint32Array(rgba.buffer, rgba.byteOffset, width * height);
  const to = new Uint32Array(width * scale * height * scale);
  for (let y = 0; y < height * scale; y += 1) {
    const line = Math.floor(y / scale) * width;
    for (let x = 0; x < width * scale; x += 1) to[y * width * scale + x] = from[line + Math.floor(x / scale)];
  }
  return new Uint8ClampedArray(to.buffer);
}

/**
 * Lays pictures out in a grid on a plain background.
 * @param {Uint8ClampedArray[]} pictures all of one size
 * @returns {{rgba: Uint8ClampedArray, width: number, height: number}}
 */
export function contactSheet(pictures, width, height, columns, gap, ground) {
  const rows = Math.ceil(pictures.length / columns);
  const sheet = { width: columns * (width + gap) + gap, height: rows * (height + gap) + gap };
  const to = new Uint32Array(sheet.width * sheet.height).fill(ground);
  pictures.forEach((rgba, i) => {
    const from = new Uint32Array(rgba.buffer, rgba.byteOffset, width * height);
    const left = gap + (i % columns) * (width + gap);
    const top = gap + Math.floor(i / columns) * (height + gap);
    for (let y = 0; y < height; y += 1) to.set(from.subarray(y * width, (y + 1) * width), (top + y) * sheet.width + left);
  });
  return { rgba: new Uint8ClampedArray(to.buffer), ...sheet };
}

/** The line that image tools read: `Steps: 50, Sampler: DDIM, Seed: 42, Size: 16x16, Model: emoji-16, Model hash: …`. */
export function parameters(recipe) {
  const pairs = {
    Steps: recipe.steps,
    Sampler: recipe.sampler.toUpperCase(),
    Eta: recipe.sampler === 'ddim' ? recipe.eta : undefined,
    Seed: recipe.seed,
    Image: recipe.image,
    Class: recipe.class,
    Size: `${recipe.width}x${recipe.height}`,
    Model: recipe.model.replaceAll(',', ' '),
    'Model hash': recipe.hash,
  };
  return Object.entries(pairs)
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([key, value]) => `${key}: ${value}`)
    .join(', ');
}
