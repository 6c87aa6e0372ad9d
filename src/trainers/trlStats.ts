/**
 * Metrics under the names of TRL 0.11.4, computed as `PPOTrainer.loss` and `PPOTrainer.record_step_stats` do. Where TRL
 * keeps one number for every position of the padded rows (`policy/ratio`, `policy/advantages`, `objective/logprobs`),
 * these are the response tokens that count.
 */
import type { LossTerms } from "../rl/losses.js";
import { maskedMean } from "../rl/masked.js";
import type { Tensor } from "../tensor.js";
import type { Advantaged, MinibatchResult } from "./stages.js";

/** Metrics by name. */
export type Stats = Readonly<Record<string, number | readonly number[]>>;

/** Metrics of one mini-batch. A skipped one reports losses of 0, as TRL does. */
export function minibatchStats(terms: LossTerms, entropy: number, skipped: boolean): Readonly<Record<string, number>> {
  const counted = skipped ? 0 : 1;
  return Object.freeze({
    "loss/policy": terms.policyLoss * counted,
    "loss/value": terms.valueLoss * counted,
    "loss/total": terms.totalLoss * counted,
    "policy/entropy": entropy,
    "policy/approxkl": terms.approxKl,
    "policy/policykl": terms.policyKl,
    "policy/clipfrac": terms.clipFrac,
    "policy/advantages_mean": terms.advantagesMean,
    "returns/mean": terms.returnsMean,
    "returns/var": terms.returnsVariance,
    "val/vpred": terms.newValuesMean,
    "val/error": terms.valueError,
    "val/clipfrac": terms.valueClipFrac,
    "val/mean": terms.valuesMean,
    "val/var": terms.valuesVariance,
  });
}

const mean = (x: readonly number[]): number => x.reduce((sum, value) => sum + value, 0) / x.length;
/** Unbiased standard deviation; NaN for fewer than two numbers, as in PyTorch. */
const std = (x: readonly number[]): number =>
  Math.sqrt(x.reduce((sum, value) => sum + (value - mean(x)) ** 2, 0) / (x.length - 1));

/** Sums over the tokens that count, one per episode. */
function sums({ data, shape }: Tensor<"float32">, mask: Tensor<"float32">): number[] {
  const columns = shape[1] ?? 0;
  return Array.from({ length: shape[0] ?? 0 }, (_, row) => {
    let sum = 0;
    for (let i = row * columns; i < (row + 1) * columns; i++) {
      if ((mask.data[i] ?? 0) !== 0) sum += data[i] ?? Number.NaN;
    }
    return sum;
  });
}

function counting({ data }: Tensor<"float32">, mask: Tensor<"float32">): number[] {
  return Array.from(data).filter((_, i) => (mask.data[i] ?? 0) !== 0);
}

/** Mean over episodes of the KL penalty summed over tokens, nats: `objective/kl`, what the KL controller is fed. */
export function episodeKl({ kl, responseMask }: Pick<Advantaged, "kl" | "responseMask">): number {
  return mean(sums(kl, responseMask));
}

/** Seconds that the parts of a step took. */
export interface StepTimes {
  readonly forward: number;
  readonly rewards: number;
  readonly advantages: number;
  readonly optimize: number;
  /** From the first to the last, rollout and the user's own pauses left out. */
  readonly total: number;
}

/** Metrics of a whole step. */
export function stepStats(advantaged: Advantaged, minibatches: readonly MinibatchResult[], times: StepTimes): Stats {
  const started = performance.now();
  const { responseMask: mask, logprobs, refLogprobs, kl, klCoef, responseLengths, queryIds, config } = advantaged;
  const klByEpisode = sums(kl, mask);
  const scores = Array.from(advantaged.scores.data);
  const queryLengths = queryIds.map(({ length }) => length);
  const nonScore = Array.from(kl.data, (value) => -klCoef * value);
  const train: Record<string, number> = {};
  for (const name of Object.keys(minibatches[0]?.stats ?? {})) {
    train[`ppo/${name}`] = mean(minibatches.map(({ stats }) => stats[name] ?? Number.NaN));
  }
  const rowsOf = (of: (minibatch: MinibatchResult) => Tensor<"float32">): number[] =>
    minibatches.flatMap((minibatch) => {
      const columns = mask.shape[1] ?? 0;
      return Array.from(of(minibatch).data).filter((_, i) => {
        const row = minibatch.rows[Math.floor(i / columns)] ?? 0;
        return (mask.data[row * columns + (i % columns)] ?? 0) !== 0;
      });
    });
  const advantages = counting(advantaged.advantages, mask);
  const stats = {
    "objective/kl": mean(klByEpisode),
    "objective/kl_dist": klByEpisode,
    "objective/logprobs": counting(logprobs, mask),
    "objective/ref_logprobs": counting(refLogprobs, mask),
    "objective/kl_coef": klCoef,
    "objective/entropy": -mean(sums(logprobs, mask)),
    "ppo/mean_non_score_reward": maskedMean(nonScore, mask.data),
    "ppo/mean_scores": mean(scores),
    "ppo/std_scores": std(scores),
    "tokens/queries_len_mean": mean(queryLengths),
    "tokens/queries_len_std": std(queryLengths),
    "tokens/queries_dist": queryLengths,
    "tokens/responses_len_mean": mean([...responseLengths]),
    "tokens/responses_len_std": std([...responseLengths]),
    "tokens/responses_dist": responseLengths,
    ...train,
    "ppo/policy/advantages": advantages,
    "ppo/policy/ratio": rowsOf(({ ratio }) => ratio),
    "ppo/val/var_explained": 1 - (train["ppo/val/error"] ?? Number.NaN) / (train["ppo/returns/var"] ?? Number.NaN),
    "ppo/learning_rate": config.learningRate,
    "time/ppo/forward_pass": times.forward,
    "time/ppo/compute_rewards": times.rewards,
    "time/ppo/compute_advantages": times.advantages,
    "time/ppo/optimize_step": times.optimize,
  };
  const calc = (performance.now() - started) / 1000;
  return Object.freeze({ ...stats, "time/ppo/calc_stats": calc, "time/ppo/total": times.total + calc });
}
