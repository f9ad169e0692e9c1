// What README.md and client.js show, and the rest of the API, as a strict TypeScript project writes it. It is compiled by
// package.test.mjs and never run.

import { UnnoiseError, explain, forgetModels, gpu, load, loseDevice, noise } from '../../www/client.js';
import type { ErrorCode, Generation, GpuInfo, Model, Progress, Restart, Step, View } from '../../www/client.js';

async function readme() {
  const model = await load('./www/models/emoji-16/');
  for await (const step of model.generate({ steps: 50, seed: 42, count: 4 })) {
    console.log(step.step, step.steps);
  }
  model.dispose();
}

async function everything(context: CanvasRenderingContext2D, chosen: FileList) {
  const stop = new AbortController();
  const model: Model = await load(chosen, { dtype: 'f16', signal: stop.signal, onProgress });
  const views: View[] = ['x_t', 'pred_x0'];
  const steps: Generation = model.generate({ sampler: 'ddpm', preview: views, raw: true }, { signal: stop.signal });
  steps.show('x_t');
  for await (const step of steps) draw(context, step);
  const noisy = await noise({ seed: 1, count: 1, channels: 3, height: 16, width: 16 });
  context.putImageData(new ImageData(noisy, 16, 16), 0, 0);
  const { name, limits }: GpuInfo = await gpu();
  const freed: number = await forgetModels();
  await loseDevice();
  return [name, limits.binding_bytes, freed, model.info.num_classes, model.gpu.class];
}

function draw(context: CanvasRenderingContext2D, step: Step | Restart) {
  if (step.restarted !== undefined) return console.log(step.restarted, step.code, step.reason);
  if (step.rgba) context.putImageData(new ImageData(step.rgba, step.width, step.height * step.count), 0, 0);
  if (step.done) console.log(step.seconds, step.x_0?.length);
}

function onProgress(event: Progress) {
  if (event.status === 'progress') console.log(event.name, event.file, event.loaded, event.total);
  if (event.status === 'compile') console.log(event.done / event.total);
  if (event.status === 'lost') console.log(event.code, event.reason);
}

function report(error: unknown): ErrorCode | null {
  const { what, todo, act, detail } = explain(error);
  console.log(what, todo, act, detail);
  return error instanceof UnnoiseError ? error.code : null;
}

export { everything, readme, report };
