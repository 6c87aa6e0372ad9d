/**
 * Per-token estimates of how far the policy is from the reference, and the controller of the penalty's coefficient.
 * Sources: `PPOTrainer._kl_penalty`, `AdaptiveKLController` of TRL 0.11.4; the controller is from
 * Ziegler et al. 2019, "Fine-Tuning Language Models from Human Preferences", section 2.2.
 */

/** Estimators that need only the log-probs of the sampled token. */
export type SampledKl = "kl" | "abs" | "mse";

/**
 * KL penalty per token, nats: `kl` is `logprobs - refLogprobs` (can be negative), `abs` its absolute value, `mse` half
 * its square. Both arrays have the same length.
 */
export function klPenalty(
  logprobs: ArrayLike<number>,
  refLogprobs: ArrayLike<number>,
  estimator: SampledKl,
): Float32Array {
  return Float32Array.from({ length: logprobs.length }, (_, i) => {
    const difference = (logprobs[i] ?? Number.NaN) - (refLogprobs[i] ?? Number.NaN);
    if (estimator === "kl") return difference;
    return estimator === "abs" ? Math.abs(difference) : 0.5 * difference * difference;
  });
}

/**
 * Exact KL divergence per row, nats: `sum_v p (log p - log q)` over the vocabulary.
 * @param logprobs [N, V] log-probs of every token under the policy
 * @param refLogprobs [N, V] under the reference
 * @returns [N]
 */
export function fullKl(logprobs: ArrayLike<number>, refLogprobs: ArrayLike<number>, vocabulary: number): Float32Array {
  return Float32Array.from({ length: logprobs.length / vocabulary }, (_, row) => {
    let sum = 0;
    for (let i = row * vocabulary; i < (row + 1) * vocabulary; i++) {
      const logp = logprobs[i] ?? Number.NaN;
      const p = Math.exp(logp);
      if (p > 0) sum += p * (logp - (refLogprobs[i] ?? Number.NaN));
    }
    return sum;
  });
}

/**
 * The KL coefficient for the next step: `klCoef * (1 + clip(kl / target - 1, -0.2, 0.2) * episodes / horizon)`.
 * @param kl mean over episodes of the KL summed over tokens, nats
 */
export function adaptKlCoef(
  klCoef: number,
  kl: number,
  episodes: number,
  { target, horizon }: { readonly target: number; readonly horizon: number },
): number {
  const error = Math.min(0.2, Math.max(-0.2, kl / target - 1));
  return klCoef * (1 + (error * episodes) / horizon);
}
