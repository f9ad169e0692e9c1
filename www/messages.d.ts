// The messages between the page and its worker, which are defined only here. link.js sends and worker.js answers;
// `tsc -p www` checks both against these types (tests/web/types.test.mjs).

import type { ErrorCode, GpuInfo, ModelInfo, Progress, Restart, Step, View } from './client.js';

/** The request for a run. The engine checks it; null and undefined mean the default. */
export interface RunRequest {
  sampler?: 'ddim' | 'ddpm';
  steps?: number;
  eta?: number;
  seed?: number;
  count: number;
  class?: number | null;
  first?: number;
  spacing?: 'leading' | 'trailing' | 'linspace' | 'quadratic';
  height?: number;
  width?: number;
}

/** Every call: its arguments, its result, and the events that come before the result. */
export interface Calls {
  /** The id of this call becomes the id of the model. Its events continue until the model is disposed of. */
  load: {
    arguments: {
      /** A repository or an address; with `files`, the name of the folder. */
      source: string;
      files?: Record<string, Blob>;
      dtype?: 'f16' | 'f32';
      revision?: string;
      hub?: string;
      /** The address of the page, to which relative sources are relative. */
      page?: string;
      /** An earlier worker had this model already: if it cannot be built now, it is tried again when it is needed. */
      again?: boolean;
    };
    result: { info: ModelInfo; gpu: GpuInfo };
    event: Progress;
  };
  generate: {
    arguments: { model: number; request: RunRequest; preview: View[]; raw: boolean };
    result: null;
    event: Step | Restart;
  };
  noise: {
    arguments: { seed: number; first: number; count: number; channels: number; height: number; width: number };
    result: Uint8ClampedArray<ArrayBuffer>;
    event: never;
  };
  gpu: { arguments: {}; result: GpuInfo; event: never };
  dispose: { arguments: { model: number }; result: null; event: never };
  forgetAll: { arguments: {}; result: number; event: never };
  lose: { arguments: {}; result: null; event: never };
}

export type CallName = keyof Calls;

/** From the page: a call, or a message about a call in progress. */
export type Request =
  | { [K in CallName]: { id: number; call: K } & Calls[K]['arguments'] }[CallName]
  | { id: number; call: 'abort' }
  /** The views that the coming steps of a run carry. */
  | { id: number; call: 'preview'; preview: View[] };

/** An error on its way to the page. */
export interface PackedError {
  code: ErrorCode;
  message: string;
  detail: string;
}

/** From the worker: any number of events of a call, then its result or its error; and two messages about the worker itself. */
export type Reply =
  | { id: number; event: Progress | Step | Restart }
  | { id: number; result: unknown }
  | { id: number; error: PackedError }
  /** The worker and everything that it imports are loaded. Not every browser reports an import that fails. */
  | { hello: true }
  /** Something failed outside any call. What the worker holds cannot be trusted any more. */
  | { crashed: PackedError };

/** A call as the worker sees it. */
export interface Job<K extends CallName = CallName> {
  readonly id: number;
  readonly signal: AbortSignal;
  preview: View[];
  tell(event: Calls[K]['event'], transfer?: Transferable[]): void;
}
