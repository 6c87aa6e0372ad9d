/**
 * The losses of PPO as plain functions over flat arrays: the oracle of the graph versions in lossGraph.ts, and what a
 * what-if question is answered with. Source: `PPOTrainer.loss` of TRL 0.11.4; Schulman et al. 2017, "Proximal Policy
 * Optimization Algorithms", eq. 7.
 */
import { maskedMean, maskedVariance } from "./masked.js";

/** What the losses depend on besides the episodes. */
export interface LossOptions {
  readonly cliprange: number;
  readonly cliprangeValue: number;
  readonly vfCoef: number;
}

/** One mini-batch, every array flat and of the same length. */
export interface LossInputs {
  readonly mask: ArrayLike<number>;
  readonly advantages: ArrayLike<number>;
  readonly returns: ArrayLike<number>;
  /** Log-probs and values when the episodes were scored. */
  readonly logprobs: ArrayLike<number>;
  readonly values: ArrayLike<number>;
  /** Log-probs and values under the parameters that are being trained. */
  readonly newLogprobs: ArrayLike<number>;
  readonly newValues: ArrayLike<number>;
}

/** Numbers of one mini-batch; means are over the tokens that count. */
export interface LossTerms {
  readonly policyLoss: number;
  /** Before `vfCoef`. */
  readonly valueLoss: number;
  readonly totalLoss: number;
  /** Half the mean squared difference of log-probs. */
  readonly approxKl: number;
  /** Mean of old minus new log-probs. */
  readonly policyKl: number;
  readonly clipFrac: number;
  readonly valueClipFrac: number;
  readonly meanRatio: number;
  readonly advantagesMean: number;
  readonly returnsMean: number;
  readonly returnsVariance: number;
  readonly valuesMean: number;
  readonly valuesVariance: number;
  readonly newValuesMean: number;
  /** Mean squared difference of new values and returns. */
  readonly valueError: number;
}

const clip = (x: number, low: number, high: number): number => Math.min(high, Math.max(low, x));

/**
 * All loss terms of a mini-batch: policy loss `max(-A rho, -A clip(rho, 1 - eps, 1 + eps))` with
 * `rho = exp(newLogprobs - logprobs)`; value loss half of `max((v - R)^2, (clip(v, V - eps, V + eps) - R)^2)`.
 */
export function ppoLosses(inputs: LossInputs, { cliprange, cliprangeValue, vfCoef }: LossOptions): LossTerms {
  const { mask, advantages, returns, logprobs, values, newLogprobs, newValues } = inputs;
  const mean = (of: (i: number) => number): number =>
    maskedMean(
      Float64Array.from({ length: mask.length }, (_, i) => ((mask[i] ?? 0) === 0 ? 0 : of(i))),
      mask,
    );
  const at = (x: ArrayLike<number>, i: number): number => x[i] ?? Number.NaN;
  const ratio = (i: number): number => Math.exp(at(newLogprobs, i) - at(logprobs, i));
  const unclipped = (i: number): number => -at(advantages, i) * ratio(i);
  const clipped = (i: number): number => -at(advantages, i) * clip(ratio(i), 1 - cliprange, 1 + cliprange);
  const error = (i: number): number => (at(newValues, i) - at(returns, i)) ** 2;
  const clippedError = (i: number): number =>
    (clip(at(newValues, i), at(values, i) - cliprangeValue, at(values, i) + cliprangeValue) - at(returns, i)) ** 2;

  const policyLoss = mean((i) => Math.max(unclipped(i), clipped(i)));
  const valueLoss = 0.5 * mean((i) => Math.max(error(i), clippedError(i)));
  return {
    policyLoss,
    valueLoss,
    totalLoss: policyLoss + vfCoef * valueLoss,
    approxKl: 0.5 * mean((i) => (at(newLogprobs, i) - at(logprobs, i)) ** 2),
    policyKl: mean((i) => at(logprobs, i) - at(newLogprobs, i)),
    clipFrac: mean((i) => (clipped(i) > unclipped(i) ? 1 : 0)),
    valueClipFrac: mean((i) => (clippedError(i) > error(i) ? 1 : 0)),
    meanRatio: mean(ratio),
    advantagesMean: maskedMean(advantages, mask),
    returnsMean: maskedMean(returns, mask),
    returnsVariance: maskedVariance(returns, mask),
    valuesMean: maskedMean(values, mask),
    valuesVariance: maskedVariance(values, mask),
    newValuesMean: maskedMean(newValues, mask),
    valueError: mean(error),
  };
}
