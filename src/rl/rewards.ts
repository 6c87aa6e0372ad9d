/**
 * From scores to per-token rewards. Sources: `PPOTrainer.step` and `PPOTrainer.compute_rewards` of TRL 0.11.4, and its
 * `RunningMoments` (trl/core.py), which is the parallel algorithm of Chan, Golub and LeVeque 1979.
 */

/** Mean and variance of all scores seen so far. */
export interface RunningMoments {
  readonly mean: number;
  /** Biased variance. */
  readonly variance: number;
  /** Unbiased standard deviation, what scores are divided by. */
  readonly std: number;
  readonly count: number;
}

/** Before any score was seen: the tiny count makes the first batch replace mean and variance. */
export const noMoments: RunningMoments = Object.freeze({ mean: 0, variance: 1, std: 1, count: 1e-24 });

/** Moments after another batch of scores. */
export function updateMoments(moments: RunningMoments, scores: ArrayLike<number>): RunningMoments {
  const n = scores.length;
  let mean = 0;
  for (let i = 0; i < n; i++) mean += (scores[i] ?? Number.NaN) / n;
  let squares = 0;
  for (let i = 0; i < n; i++) squares += ((scores[i] ?? Number.NaN) - mean) ** 2;
  const delta = mean - moments.mean;
  const count = moments.count + n;
  const sum = moments.variance * moments.count + (delta ** 2 * moments.count * n) / count + squares;
  const variance = sum / count;
  return Object.freeze({
    mean: moments.mean + (delta * n) / count,
    variance,
    std: Math.sqrt((variance * count) / (count - 1)),
    count,
  });
}

/** What {@link scaleScores} does; see the keys of the same names in the configuration. */
export interface ScoreScaling {
  readonly useScoreScaling: boolean;
  readonly useScoreNorm: boolean;
  readonly scoreClip: number | null;
}

/** Machine epsilon of float32, which TRL adds to the standard deviation. */
const float32Epsilon = 2 ** -23;

/**
 * Scores as they enter the rewards, in this order: the running moments take in this batch, scores are divided by the
 * running standard deviation (`useScoreScaling`), after the running mean was subtracted (`useScoreNorm`), then clipped.
 * @param scores [B]
 * @returns the scores [B] and the moments to go on with
 */
export function scaleScores(
  scores: ArrayLike<number>,
  moments: RunningMoments,
  { useScoreScaling, useScoreNorm, scoreClip }: ScoreScaling,
): { readonly scores: Float32Array; readonly moments: RunningMoments } {
  const next = useScoreScaling ? updateMoments(moments, scores) : moments;
  const shift = useScoreScaling && useScoreNorm ? next.mean : 0;
  const divisor = useScoreScaling ? next.std + float32Epsilon : 1;
  const limit = scoreClip ?? Number.POSITIVE_INFINITY;
  const scaled = Float32Array.from({ length: scores.length }, (_, i) =>
    Math.min(limit, Math.max(-limit, ((scores[i] ?? Number.NaN) - shift) / divisor)),
  );
  return { scores: scaled, moments: next };
}

/** Column of the last token of each row that counts, or -1 for a row without one. Mask [B, T]. */
export function lastCounting(mask: ArrayLike<number>, columns: number): number[] {
  return Array.from({ length: mask.length / columns }, (_, row) => {
    for (let t = columns - 1; t >= 0; t--) if ((mask[row * columns + t] ?? 0) !== 0) return t;
    return -1;
  });
}

/**
 * Rewards [B, T]: `-klCoef * kl` at every token, plus the score at the last token that counts, plus per-token scores
 * where there are any.
 * @param kl [B, T]
 * @param scores [B] credited at the end
 * @param mask [B, T]
 * @param tokenScores [B, T] scores of single tokens
 */
export function tokenRewards(
  kl: ArrayLike<number>,
  scores: ArrayLike<number>,
  mask: ArrayLike<number>,
  klCoef: number,
  tokenScores?: ArrayLike<number>,
): Float32Array {
  const rewards = Float32Array.from({ length: kl.length }, (_, i) => {
    const counts = mask[i] ?? 0;
    return counts === 0 ? 0 : -klCoef * (kl[i] ?? Number.NaN) + (tokenScores?.[i] ?? 0);
  });
  const columns = kl.length / scores.length;
  for (const [row, t] of lastCounting(mask, columns).entries()) {
    if (t >= 0) rewards[row * columns + t] = (rewards[row * columns + t] ?? 0) + (scores[row] ?? Number.NaN);
  }
  return rewards;
}
