import { maskedWhiten } from "./masked.js";

/** How advantages are estimated; see the keys of the same names in the configuration. */
export interface AdvantageOptions {
  readonly gamma: number;
  readonly gaeLambda: number;
  readonly whitenRewards: boolean;
  /**
   * Per row, how many padded positions follow its last column when rewards are whitened: whitening that keeps the mean
   * moves their zeros too, and the estimates of the row begin there. TRL 0.11.4 has them (a defect); without this key
   * what the mask leaves out stays 0.
   */
  readonly whitenedPadding?: readonly number[];
}

/**
 * Generalised advantage estimates of every row, unwhitened:
 * `delta_t = r_t + gamma V_{t+1} - V_t`, `A_t = delta_t + gamma lambda A_{t+1}`, V past the end = 0
 * (Schulman et al. 2016, "High-Dimensional Continuous Control Using Generalized Advantage Estimation", eq. 16).
 * @param rewards [B, T], 0 where the mask is 0
 * @param values [B, T], 0 where the mask is 0
 */
export function gae(
  rewards: ArrayLike<number>,
  values: ArrayLike<number>,
  columns: number,
  { gamma, gaeLambda }: Pick<AdvantageOptions, "gamma" | "gaeLambda">,
): Float32Array {
  const advantages = new Float32Array(rewards.length);
  for (let start = 0; start < rewards.length; start += columns) {
    let next = 0;
    for (let i = start + columns - 1; i >= start; i--) {
      const nextValue = i + 1 < start + columns ? (values[i + 1] ?? Number.NaN) : 0;
      const delta = (rewards[i] ?? Number.NaN) + gamma * nextValue - (values[i] ?? Number.NaN);
      next = delta + gamma * gaeLambda * next;
      advantages[i] = next;
    }
  }
  return advantages;
}

/**
 * Advantages, whitened over the whole batch, and returns (`advantages before whitening + values`); both [B, T] and 0
 * where the mask is 0. Source: `PPOTrainer.compute_advantages` of TRL 0.11.4.
 */
export function advantagesAndReturns(
  rewards: ArrayLike<number>,
  values: ArrayLike<number>,
  mask: ArrayLike<number>,
  columns: number,
  options: AdvantageOptions,
): { readonly advantages: Float32Array; readonly returns: Float32Array } {
  const masked = (x: ArrayLike<number>): Float32Array =>
    Float32Array.from({ length: mask.length }, (_, i) => ((mask[i] ?? 0) === 0 ? 0 : (x[i] ?? Number.NaN)));
  const estimates = masked(values);
  const raw = gae(...whitened(masked(rewards), estimates, mask, columns, options), options);
  const width = raw.length / (mask.length / columns);
  const kept = Float32Array.from(mask, (_, i) => raw[Math.floor(i / columns) * width + (i % columns)] ?? Number.NaN);
  return {
    advantages: masked(maskedWhiten(kept, mask)),
    returns: masked(kept.map((advantage, i) => advantage + (estimates[i] ?? Number.NaN))),
  };
}

/** Rewards and values for {@link gae}, with their number of columns: rewards whitened where that is asked for. */
function whitened(
  rewards: Float32Array,
  values: Float32Array,
  mask: ArrayLike<number>,
  columns: number,
  { whitenRewards, whitenedPadding }: AdvantageOptions,
): [rewards: Float32Array, values: Float32Array, columns: number] {
  if (!whitenRewards) return [rewards, values, columns];
  const moved = maskedWhiten(rewards, mask, { shiftMean: false });
  if (whitenedPadding === undefined) {
    return [moved.map((reward, i) => ((mask[i] ?? 0) === 0 ? 0 : reward)), values, columns];
  }
  // What a zero becomes: maskedWhiten is affine.
  const [padding = 0] = maskedWhiten([0, ...rewards], [0, ...Array.from(mask)], { shiftMean: false });
  const width = columns + Math.max(0, ...whitenedPadding);
  const rows = mask.length / columns;
  const wideRewards = new Float32Array(rows * width);
  const wideValues = new Float32Array(rows * width);
  for (let row = 0; row < rows; row++) {
    wideRewards.set(moved.subarray(row * columns, (row + 1) * columns), row * width);
    wideValues.set(values.subarray(row * columns, (row + 1) * columns), row * width);
    const end = columns + (whitenedPadding[row] ?? 0);
    // A negative count: the padded rows end before the last column.
    wideRewards.fill(padding, row * width + columns, row * width + Math.max(columns, end));
    if (end < columns) wideRewards.fill(0, row * width + end, row * width + columns);
  }
  return [wideRewards, wideValues, width];
}
