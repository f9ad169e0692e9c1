// The types of client.js, kept by hand. `tsc -p www` checks client.js against them (tests/web/types.test.mjs).

/** What went wrong, for a program. The `message` of an `UnnoiseError` says it for a person. */
export type ErrorCode =
  | 'no-webgpu' | 'no-adapter' | 'device-lost' | 'too-large' | 'out-of-memory'
  | 'bad-file' | 'bad-config' | 'unsupported' | 'bad-request' | 'not-finite'
  | 'network' | 'not-found' | 'forbidden' | 'aborted' | 'engine' | 'internal';

export class UnnoiseError extends Error {
  constructor(code: ErrorCode, message: string, detail?: string);
  readonly code: ErrorCode;
  /** What a bug report needs: a URL, a stack, what the server said. It may be empty. */
  readonly detail: string;
}

/** An error in plain words: what happened, what to do, what a button should offer, and a detail to copy. */
export function explain(error: unknown): {
  code: ErrorCode | 'insecure-page';
  what: string;
  todo: string;
  act: 'retry' | 'reload' | 'generate';
  detail: string;
};

/** The progress of loading, in the shape that transformers.js uses, and a few events of our own. */
export type Progress = { name: string } & (
  | { status: 'initiate'; file: string }
  | { status: 'download'; file: string }
  /** `total` is absent when the server does not send it. `cached`: the file comes from the browser's cache. */
  | { status: 'progress'; file: string; loaded: number; total?: number; cached?: boolean }
  | { status: 'done'; file: string; cached?: boolean }
  /** config.json as it was fetched, before the weights. It has not been validated yet. */
  | { status: 'config'; config: Record<string, unknown> }
  /** Pipelines compiled so far, and pipelines in total. */
  | { status: 'compile'; done: number; total: number }
  | { status: 'ready' }
  /** The browser did not keep a file (quota, private window). Everything works; the next visit fetches it again. */
  | { status: 'not-kept'; file: string; reason: string }
  /**
   * The system took the GPU away (`device-lost`), or the engine failed and is started again (`internal`). The model is
   * being loaded again: more `compile` events and `ready` follow.
   */
  | { status: 'lost'; code: 'device-lost' | 'internal'; reason: string }
);

export interface LoadOptions {
  onProgress?: (event: Progress) => void;
  /** Cancels the download. The promise rejects with code `aborted`. */
  signal?: AbortSignal;
  /** 'f16' prefers `diffusion_pytorch_model.fp16.safetensors` if the model has it: half the download. */
  dtype?: 'f16' | 'f32';
  /** Branch, tag or commit of a hub repository; default `main`. Files of a full commit hash are fetched only once. */
  revision?: string;
  /** The address of the hub; default `https://huggingface.co`. */
  hub?: string;
}

/**
 * Loads a model that is laid out as diffusers saves it.
 *
 * `source` is one of: a hub repository (`owner/name`, `owner/name@revision`, `hf:owner/name`); the URL of a folder (a
 * relative one begins with `./`, `../` or `/`, or has two slashes); chosen files; paths with their contents.
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
  /** The first ten digits of the SHA-256 of the weights; null on pages without `crypto.subtle`. */
  hash: string | null;
  /** Size of the files in bytes. */
  bytes: number;
  parameters: number;
  channels: number;
  height: number;
  width: number;
  /** Number of classes of a class-conditional model; null for other models. */
  num_classes: number | null;
  scheduler: Record<string, unknown>;
  gflop_per_image: number;
  weight_bytes: number;
  /** What was assumed about the model, as sentences. */
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
  /** Whole number from 0 to 4294967295; default 0. A picture's noise depends only on the seed and the picture's index. */
  seed?: number;
  /** How many pictures; default 1. */
  count?: number;
  /** Index of the first picture: `{first: 5, count: 1}` makes the sixth picture of a grid alone. Default 0. */
  first?: number;
  /** The class, for a class-conditional model. */
  classLabel?: number | null;
  /** A size other than the model's own; give both or neither. Multiples of 2^(levels of the network - 1). */
  height?: number;
  width?: number;
  /** Timestep spacing; default: what the checkpoint says. */
  spacing?: 'leading' | 'trailing' | 'linspace' | 'quadratic';
  /** Which views the steps carry. By default none, and only the last item has pictures. */
  preview?: View | View[];
  /** The last item also gets `x_0`, the raw numbers before they become 8-bit pixels. */
  raw?: boolean;
}

/**
 * One item per step, in order. A step lacks its pictures when the previous ones are still being read back. The last item,
 * with `done: true`, comes in addition: it carries the result.
 */
export interface Step {
  /** Steps done, from 1 to `steps`. */
  step: number;
  steps: number;
  /** The timestep of the current step, that is, how noisy the pictures still are; the last timestep when done. */
  t: number;
  count: number;
  width: number;
  height: number;
  /** Index of the current batch's first picture. Pictures that do not fit the GPU's memory together are batched. */
  image: number;
  /** Pictures in a batch. */
  batch: number;
  /** How much of the run is done, from 0 to 1, over all batches. */
  progress: number;
  itPerSecond?: number;
  secondsLeft?: number;
  /** `count` pictures one after the other as 8-bit RGBA: the first requested view, or the result in the last item. */
  rgba?: Uint8ClampedArray<ArrayBuffer>;
  /** All views that were requested. */
  pictures?: Partial<Record<View, Uint8ClampedArray<ArrayBuffer>>>;
  done: boolean;
  /** In the last item: how long the run took. */
  seconds?: number;
  /** In the last item, if `raw` was asked for: [count, channels, height, width]. */
  x_0?: Float32Array<ArrayBuffer>;
  restarted?: undefined;
}

/** The GPU was lost, or the engine failed. The run begins again from the same noise; this item has nothing of a step. */
export type Restart = {
  /** How many times this run has begun again. */
  restarted: number;
  code: 'device-lost' | 'internal';
  reason: string;
} & { [K in Exclude<keyof Step, 'restarted'>]?: undefined };

export interface Generation extends AsyncIterableIterator<Step | Restart> {
  /** Changes the views that the coming steps carry. */
  show(preview: View | View[]): void;
}

export interface Model {
  readonly info: ModelInfo;
  readonly gpu: GpuInfo;
  /**
   * Makes pictures. The work continues whether or not items are taken. Leaving the loop or aborting stops it within one
   * submission to the GPU. The last item has `done: true`. The iterator throws errors.
   */
  generate(options?: GenerateOptions, control?: { signal?: AbortSignal }): Generation;
  /** Frees the model's GPU memory. */
  dispose(): Promise<void>;
}

/** x_T of a seed as 8-bit RGBA. It needs no model and no GPU. Generating with the same seed starts from this noise. */
export function noise(of: {
  seed: number;
  first?: number;
  count: number;
  channels: number;
  height: number;
  width: number;
}): Promise<Uint8ClampedArray<ArrayBuffer>>;

/** The GPU that will be used. @throws {UnnoiseError} `no-webgpu`, `no-adapter` */
export function gpu(): Promise<GpuInfo>;

/** Deletes every model that the browser keeps for this site; resolves to the number of bytes freed. */
export function forgetModels(): Promise<number>;

/** Destroys the GPU device as if the system had taken it away: to test what happens then. */
export function loseDevice(): Promise<void>;
