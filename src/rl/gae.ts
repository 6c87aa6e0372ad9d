import { maskedWhiten } from "./masked.js";

/** How advantages are estimated; see the keys of the same names in the configuration. */
export interface AdvantageOptions {
  readonly gamma: number;
  readonly gaeLambda: number;
  readonly whitenRewards: boolean;
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
  const counting = masked(rewards);
  const used = options.whitenRewards ? maskedWhiten(counting, mask, { shiftMean: false }) : counting;
  const estimates = masked(values);
  const raw = gae(used, estimates, columns, options);
  return {
    advantages: masked(maskedWhiten(raw, mask)),
    returns: masked(raw.map((advantage, i) => advantage + (estimates[i] ?? Number.NaN))),
  };
}
