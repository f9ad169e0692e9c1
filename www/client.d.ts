// Types of client.js, kept by hand.

/** What went wrong, for a program. The `message` of an `UnnoiseError` says it to a person. */
export type ErrorCode =
  | 'no-webgpu' | 'no-adapter' | 'device-lost' | 'too-large' | 'out-of-memory'
  | 'bad-file' | 'bad-config' | 'unsupported' | 'bad-request' | 'not-finite'
  | 'network' | 'not-found' | 'forbidden' | 'aborted' | 'engine' | 'internal';

export class UnnoiseError extends Error {
  constructor(code: ErrorCode, message: string, detail?: string);
  readonly code: ErrorCode;
  /** For a bug report: a URL, a stack, what the server said. May be empty. */
  readonly detail: string;
}

/** An error in plain words: what happened, what to do, the act to offer and a detail to copy. */
export function explain(error: unknown): {
  code: ErrorCode | 'insecure-page';
  what: string;
  todo: string;
  act: 'retry' | 'reload' | 'generate';
  detail: string;
};

/** Progress of loading, in the shape transformers.js uses, and a few events of our own. */
export type Progress = { name: string } & (
  | { status: 'initiate'; file: string }
  | { status: 'download'; file: string }
  /** `total` is absent when the server does not say. `cached`: taken from the browser's cache. */
  | { status: 'progress'; file: string; loaded: number; total?: number; cached?: boolean }
  | { status: 'done'; file: string; cached?: boolean }
  /** config.json as fetched, before the weights; not yet validated. */
  | { status: 'config'; config: Record<string, unknown> }
  /** Pipelines prepared on the GPU. */
  | { status: 'compile'; done: number; total: number }
  | { status: 'ready' }
  /** The browser did not keep a file (quota, private window). Everything works, the next visit fetches again. */
  | { status: 'not-kept'; file: string; reason: string }
  /** The GPU was taken away. The model is being loaded again; further `compile` events and `ready` follow. */
  | { status: 'lost'; reason: string }
);

export interface LoadOptions {
  onProgress?: (event: Progress) => void;
  /** Cancels the download. The promise rejects with code `aborted`. */
  signal?: AbortSignal;
  /** 'f16' prefers `diffusion_pytorch_model.fp16.safetensors` where there is one: half the download. */
  dtype?: 'f16' | 'f32';
  /** Branch, tag or commit of a hub repository; default `main`. A commit hash is never asked for twice. */
  revision?: string;
  /** Where the hub is; default `https://huggingface.co`. */
  hub?: string;
}

/**
 * Loads a model in diffusers' layout.
 *
 * `source` is a hub repository (`owner/name`, `owner/name@revision`, `hf:owner/name`), the URL of a folder (relative ones
 * begin with `./`, `../` or `/`, or have two slashes), chosen files, or paths with their contents.
 *
 * @throws {UnnoiseError}
 */
export function load(source: string | FileList | File[] | Record<string, Blob>, options?: LoadOptions): Promise<Model>;

export interface GpuInfo {
  name: string;
  backend: string;
  class: 'software' | 'integrated' | 'apple' | 'discrete';
  limits: Record<string, number>;
}

export interface ModelInfo {
  name: string;
  /** First ten digits of the SHA-256 of the weights; null on pages without `crypto.subtle`. */
  hash: string | null;
  /** Bytes fetched or read. */
  bytes: number;
  parameters: number;
  channels: number;
  height: number;
  width: number;
  /** Number of classes of a class-conditional model. */
  num_classes: number | null;
  scheduler: Record<string, unknown>;
  gflop_per_image: number;
  weight_bytes: number;
  /** What had to be assumed about the model, as sentences. */
  notes: string[];
}

export type View = 'x_t' | 'pred_x0';

export interface GenerateOptions {
  /** Default 'ddim'. */
  sampler?: 'ddim' | 'ddpm';
  /** Number of inference steps; default 50. */
  steps?: number;
  /** DDIM's eta, 0 to 1; default 0. */
  eta?: number;
  /** Whole number from 0 to 4294967295; default 0. The noise of a picture depends on the seed and its index only. */
  seed?: number;
  /** How many pictures; default 1. */
  count?: number;
  /** Index of the first picture: `{first: 5, count: 1}` makes the sixth picture of a grid alone. Default 0. */
  first?: number;
  /** Class of a class-conditional model. */
  classLabel?: number | null;
  /** Another size than the model's own, both or none: multiples of 2 to the number of its levels less one. */
  height?: number;
  width?: number;
  /** Timestep spacing; default: as the checkpoint says. */
  spacing?: 'leading' | 'trailing' | 'linspace' | 'quadratic';
  /** Which views the steps carry; default none, then only the last item has a picture. */
  preview?: View | View[];
  /** Also give the last item `x_0`, the raw numbers before they become 8-bit pixels. */
  raw?: boolean;
}

/** One item per step, in order. A step may lack its picture when reading it back takes longer than the step. */
export interface Step {
  /** Steps done, 1 to `steps`. */
  step: number;
  steps: number;
  /** The timestep of the step under way, which is how noisy the picture still is; the last one when done. */
  t: number;
  count: number;
  width: number;
  height: number;
  /** Pictures that do not fit the GPU's memory together are made in batches; this one begins at picture `image`. */
  image: number;
  batch?: number;
  /** How much of the run is done, 0 to 1, over all batches. */
  progress: number;
  itPerSecond?: number;
  secondsLeft?: number;
  /** `count` pictures one after the other, RGBA, 8 bits: the first view asked for; x_0 in the last item. */
  rgba?: Uint8ClampedArray;
  /** All views asked for. */
  pictures?: Partial<Record<View, Uint8ClampedArray>>;
  done: boolean;
  /** In the last item: how long it took. */
  seconds?: number;
  /** In the last item when `raw` was asked for: [count, channels, height, width]. */
  x_0?: Float32Array;
  restarted?: undefined;
}

/** The GPU was lost and the run begins again from the same noise. It has no picture. */
export interface Restart {
  restarted: number;
  reason: string;
  done?: undefined;
  rgba?: undefined;
}

export interface Generation extends AsyncIterableIterator<Step | Restart> {
  /** Changes the views of the coming steps. */
  show(preview: View | View[]): void;
}

export interface Model {
  readonly info: ModelInfo;
  readonly gpu: GpuInfo;
  /**
   * Makes pictures. Work goes on whether or not items are taken; leaving the loop or aborting stops it within one
   * submit to the GPU. The last item has `done: true`. Failures are thrown by the iterator.
   */
  generate(options?: GenerateOptions, control?: { signal?: AbortSignal }): Generation;
  /** Frees the model's GPU memory. */
  dispose(): Promise<void>;
}

/** x_T of a seed as RGBA, before there is a model or a GPU: generating with the same seed continues from it. */
export function noise(of: {
  seed: number;
  first?: number;
  count: number;
  channels: number;
  height: number;
  width: number;
}): Promise<Uint8ClampedArray>;

/** The GPU that will be used. @throws {UnnoiseError} `no-webgpu`, `no-adapter` */
export function gpu(): Promise<GpuInfo>;

/** Deletes every model the browser keeps for this site; resolves to the number of bytes freed. */
export function forgetModels(): Promise<number>;

/** Destroys the GPU device as if the system had taken it: to test what happens then. */
export function loseDevice(): Promise<void>;
