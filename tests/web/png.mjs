// Just enough of PNG to check what the page saved: its size, its pixels and its text chunks.

import assert from "node:assert/strict";
import zlib from "node:zlib";

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/**
 * @param {Buffer} bytes
 * @returns {{width: number, height: number, channels: number, pixels: Buffer, text: Record<string, string>}}
 */
export function readPng(bytes) {
  assert.ok(bytes.subarray(0, 8).equals(SIGNATURE), "a PNG signature");
  const text = {};
  const data = [];
  let head = null;
  let ended = false;
  for (let at = 8; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at);
    const type = bytes.toString("latin1", at + 4, at + 8);
    const body = bytes.subarray(at + 8, at + 8 + length);
    assert.equal(crc(bytes.subarray(at + 4, at + 8 + length)), bytes.readUInt32BE(at + 8 + length), `checksum of ${type}`);
    if (type === "IHDR") head = body;
    if (type === "IDAT") data.push(body);
    if (type === "IEND") ended = true;
    if (type === "tEXt" || type === "iTXt") {
      const zero = body.indexOf(0);
      const keyword = body.toString("latin1", 0, zero);
      // iTXt: compression flag and method, then language and translated keyword, each ended by a zero.
      let start = zero + 1;
      if (type === "iTXt") {
        assert.equal(body[start], 0, "uncompressed text");
        start = body.indexOf(0, body.indexOf(0, start + 2) + 1) + 1;
      }
      text[keyword] = body.toString(type === "iTXt" ? "utf8" : "latin1", start);
    }
    at += 12 + length;
  }
  assert.ok(head && ended, "a head and an end");
  const [width, height, depth, colour] = [head.readUInt32BE(0), head.readUInt32BE(4), head[8], head[9]];
  assert.equal(depth, 8);
  const channels = { 0: 1, 2: 3, 6: 4 }[colour];
  assert.ok(channels, `colour type ${colour}`);
  return { width, height, channels, pixels: unfilter(zlib.inflateSync(Buffer.concat(data)), width, height, channels), text };
}

function unfilter(raw, width, height, channels) {
  const row = width * channels;
  assert.equal(raw.length, height * (row + 1));
  const out = Buffer.alloc(height * row);
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (row + 1)];
    for (let x = 0; x < row; x++) {
      const left = x >= channels ? out[y * row + x - channels] : 0;
      const up = y > 0 ? out[(y - 1) * row + x] : 0;
      const corner = x >= channels && y > 0 ? out[(y - 1) * row + x - channels] : 0;
      const guess = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter];
      out[y * row + x] = raw[y * (row + 1) + 1 + x] + guess;
    }
  }
  return out;
}

function paeth(a, b, c) {
  const p = a + b - c;
  const [pa, pb, pc] = [Math.abs(p - a), Math.abs(p - b), Math.abs(p - c)];
  if (pa <= pb && pa <= pc) return a;
  return pb <= pc ? b : c;
}

function crc(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) {
    value ^= byte;
    for (let k = 0; k < 8; k++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  }
  return (value ^ 0xffffffff) >>> 0;
}
