import { type ChannelKey, channels } from "./channels.js";
import { type Lens, type LensBuffers, type LensHeader, openLens } from "./lens.js";

/** What a person has chosen in a token lens; kept in the widget's state so that a reloaded page shows the same. */
export interface LensChoices {
  readonly channel?: ChannelKey;
  readonly sort?: LensSort;
  readonly filter?: string;
  readonly epoch?: number;
  readonly pinned?: number;
}

/** Orders of the episodes. */
export const lensSorts = ["batch", "score down", "score up", "channel down", "channel up", "longest"] as const;
export type LensSort = (typeof lensSorts)[number];

/** Checks what a view says was chosen. */
export function isLensChoices(value: unknown): value is LensChoices {
  if (typeof value !== "object" || value === null) return false;
  const { channel, sort, filter, epoch, pinned, ...rest } = value as Record<string, unknown>;
  const whole = (x: unknown) => x === undefined || (Number.isInteger(x) && (x as number) >= 0);
  return (
    Object.keys(rest).length === 0 &&
    (channel === undefined || channels.some(({ key }) => key === channel)) &&
    (sort === undefined || lensSorts.some((name) => name === sort)) &&
    (filter === undefined || (typeof filter === "string" && filter.length <= 1000)) &&
    whole(epoch) &&
    whole(pinned)
  );
}

/** The widget state of a lens: `lens` is JSON, the rest are binary buffers. */
export function lensState(header: LensHeader, buffers: LensBuffers): Record<string, unknown> {
  return { lens: header, ...buffers, choices: {} };
}

/**
 * The lens in a widget's state as a front end holds it, where binary values are DataViews (or nothing, if a saved
 * notebook lost them).
 * @throws Error naming the key that is missing.
 */
export function lensOf(get: (key: string) => unknown): Lens {
  const header = get("lens") as LensHeader | undefined;
  if (!header) throw new Error("this widget's state has no token lens in it: run its cell again");
  const bytes = (key: string, size: number): ArrayBuffer => {
    const value = get(key);
    if (value instanceof ArrayBuffer) return value.slice(0);
    if (ArrayBuffer.isView(value)) {
      if (value.byteLength % size !== 0)
        throw new Error(`the state's "${key}" has ${value.byteLength} bytes, not whole numbers`);
      return new Uint8Array(value.buffer as ArrayBuffer, value.byteOffset, value.byteLength).slice().buffer;
    }
    throw new Error(`this widget's state has no "${key}" in it: run its cell again`);
  };
  return openLens(header, {
    offsets: new Int32Array(bytes("offsets", 4)),
    pieces: new Int32Array(bytes("pieces", 4)),
    mask: new Uint8Array(bytes("mask", 1)),
    scores: new Float32Array(bytes("scores", 4)),
    channels: new Float32Array(bytes("channels", 4)),
  });
}
