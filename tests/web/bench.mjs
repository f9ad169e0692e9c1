// How fast a browser evaluates a network, as a share of what its adapter can do:
//
//     scripts/test.sh wasm; cd tests/web && npm ci
//     BROWSER=chromium node bench.mjs [FOLDER]         a model folder inside the repository; default www/models/emoji-16
//
// Evaluations (`Model.predict`, batch 1, upload and read-back included) and the loop of multiply-adds in shaders/bench/fma.wgsl take turns in one page.

import { promises as fs } from "node:fs";
import path from "node:path";

import { launch } from "./browser.mjs";
import { serveFiles } from "./server.mjs";

const ROOT = path.join(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), "../..");
const folder = process.argv[2] ?? "www/models/emoji-16";

/** What src/kernels/wgsl.rs makes of `#for`, innermost first. */
function expand(text) {
  const loop = /#for (\w+) in (\d+)\.\.(\d+)\n((?:(?!#for|#end)[\s\S])*)#end/;
  for (let found; (found = loop.exec(text)); ) {
    const [whole, name, from, to, body] = found;
    let bodies = "";
    for (let i = Number(from); i < Number(to); i++) bodies += body.replaceAll(`$${name}`, i).replace(/\((\d+) \+ 1\)/g, (_, n) => `(${Number(n) + 1})`);
    text = text.replace(whole, () => bodies);
  }
  return text;
}

async function files(below = "") {
  const found = [];
  for (const entry of await fs.readdir(path.join(ROOT, folder, below), { withFileTypes: true })) {
    const name = below ? `${below}/${entry.name}` : entry.name;
    if (entry.isDirectory()) found.push(...(await files(name)));
    else if (/(^|\/)(model_index|config|scheduler_config)\.json$|\.safetensors$/.test(name)) found.push(name);
  }
  return found;
}

/** In the page. */
async function measure(folder, paths, wgsl) {
  const { default: init, Gpu, Model } = await import("../../pkg/unnoise.js");
  await init();
  const gpu = await Gpu.request("{}");
  const contents = [];
  for (const name of paths) contents.push(new Uint8Array(await (await fetch(`/${folder}/${name}`)).arrayBuffer()));
  let began = performance.now();
  const model = await Model.load(gpu, paths, contents, () => {});
  const info = JSON.parse(model.info);
  const sample = new Float32Array(info.channels * info.height * info.width).map((_, i) => Math.sin(i));
  const evaluate = () => model.predict(sample, new Float32Array([500]), undefined, info.height, info.width);
  const finite = (await evaluate()).every(Number.isFinite);
  const cold = performance.now() - began;

  const adapter = await navigator.gpu.requestAdapter();
  const device = await adapter.requestDevice();
  const [count, rounds] = [1 << 14, 64];
  const buffer = (values, usage) => {
    const made = device.createBuffer({ size: values.byteLength, usage: usage | GPUBufferUsage.COPY_DST });
    device.queue.writeBuffer(made, 0, values);
    return made;
  };
  const seed = new Float32Array(4 * count).map((_, i) => [0.5, 0.25, 1, 2][i % 4]);
  const pipeline = device.createComputePipeline({ layout: "auto", compute: { module: device.createShaderModule({ code: wgsl }) } });
  const buffers = [buffer(new Uint32Array([count, rounds]), GPUBufferUsage.UNIFORM), buffer(seed, GPUBufferUsage.STORAGE), buffer(seed, GPUBufferUsage.STORAGE)];
  const group = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: buffers.map((buffer, binding) => ({ binding, resource: { buffer } })),
  });
  const multiplyAdds = async (times) => {
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    for (let i = 0; i < times; i++) pass.dispatchWorkgroups(count / 64);
    pass.end();
    device.queue.submit([encoder.finish()]);
    await device.queue.onSubmittedWorkDone();
  };
  const time = async (work) => {
    const began = performance.now();
    await work();
    return performance.now() - began;
  };
  await multiplyAdds(1);
  const best = { evaluation: Infinity, loop: Infinity };
  for (let turn = 0; turn < 7; turn++) {
    best.loop = Math.min(best.loop, (await time(() => multiplyAdds(8))) / 8);
    best.evaluation = Math.min(best.evaluation, await time(evaluate));
  }
  const gflops = (flop, ms) => flop / 1e6 / ms;
  return {
    adapter: JSON.parse(gpu.info).name, finite, cold, ms: best.evaluation, gflop: info.gflop_per_image, dispatches: info.dispatches,
    rate: gflops(info.gflop_per_image * 1e9, best.evaluation), fma: gflops(count * rounds * 8 * 16 * 2, best.loop),
  };
}

const server = await serveFiles();
const browser = await launch();
try {
  const page = await browser.newPage();
  await page.goto(`${server.origin}/tests/web/numbers.html`);
  const wgsl = expand(await fs.readFile(path.join(ROOT, "shaders/bench/fma.wgsl"), "utf8"));
  const m = await page.evaluate(measure, folder, await files(), wgsl);
  if (!m.finite) throw new Error("the output is not finite");
  console.log(`${folder} in ${await browser.version()} on ${m.adapter}`);
  console.log(`load, compile and the first evaluation  ${m.cold.toFixed(0)} ms`);
  console.log(`an evaluation  ${m.ms.toFixed(1)} ms, ${m.gflop.toFixed(3)} GFLOP in ${m.dispatches} dispatches`);
  console.log(`${m.rate.toFixed(2)} GFLOP/s, ${((100 * m.rate) / m.fma).toFixed(0)} % of the multiply-add loop's ${m.fma.toFixed(1)}`);
} finally {
  await browser.close();
  await server.close();
}
