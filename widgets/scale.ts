import type { Channel } from "./channels.js";
import { shades } from "./color.js";

/** The stretch of values that a channel's colours cover. */
export interface Scale {
  readonly channel: Channel;
  /** Distance from the channel's center at which colours are strongest; 0 when all values are the center. */
  readonly extent: number;
  /** Values further out than `extent`: drawn in the strongest colour. */
  readonly beyond: number;
  /** Values that are NaN or infinite. */
  readonly broken: number;
}

/**
 * A scale for these values: the center is fixed (zero, or one for a ratio) and both sides reach equally far, to the
 * largest value, or to the 99th percentile where the largest is more than three times that.
 */
export function scaleOf(channel: Channel, values: Float32Array, mask: Uint8Array): Scale {
  const distances: number[] = [];
  let broken = 0;
  for (let i = 0; i < values.length; i++) {
    if (!mask[i]) continue;
    const distance = Math.abs((values[i] ?? 0) - channel.center);
    if (Number.isFinite(distance)) distances.push(distance);
    else broken++;
  }
  const sorted = Float64Array.from(distances).sort();
  const largest = sorted[sorted.length - 1] ?? 0;
  const most = sorted[Math.floor((sorted.length - 1) * 0.99)] ?? 0;
  const extent = most > 0 && largest > 3 * most ? most : largest;
  return { channel, extent, beyond: sorted.length - upperBound(sorted, extent), broken };
}

/**
 * Which shade a value gets, `-shades … shades` (sequential channels: `0 … shades`); NaN stays NaN. Small distances are
 * lifted (power 0.75), because most tokens of a batch are near the center.
 */
export function level(scale: Scale, value: number): number {
  if (Number.isNaN(value)) return Number.NaN;
  const { kind, center } = scale.channel;
  // What rounding leaves of zero is no colour.
  if (scale.extent < 1e-6) return 0;
  const z = Math.max(-1, Math.min(1, (value - center) / scale.extent));
  const shade = Math.round(Math.abs(z) ** 0.75 * shades);
  return kind === "diverging" && z < 0 && shade > 0 ? -shade : shade;
}

/** Where a scale's axis begins and ends. Sequential channels hold log-probs, which are never above their center. */
export function axis(scale: Scale): readonly [number, number] {
  const { kind, center } = scale.channel;
  return [center - scale.extent, kind === "diverging" ? center + scale.extent : center];
}

/** How many values fall into each of `bins` equal parts of the scale's axis; those beyond it count in the outer parts. */
export function histogram(scale: Scale, values: Float32Array, mask: Uint8Array, bins: number): Uint32Array {
  const counts = new Uint32Array(bins);
  const [low, high] = axis(scale);
  const width = high - low || 1;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? 0;
    if (!mask[i] || Number.isNaN(value)) continue;
    const bin = Math.max(0, Math.min(bins - 1, Math.floor(((value - low) / width) * bins)));
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return counts;
}

function upperBound(sorted: Float64Array, value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? 0) <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}
