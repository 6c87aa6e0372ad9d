/**
 * PPO's loss as graph values, for its gradient. losses.ts is the same in plain functions and names the sources.
 * Choices are written with `where`, so that the gradient of a tie goes one way, with the weight that PyTorch gives both
 * ways together.
 */
import { abs, add, div, exp, greater, less, max, mul, neg, reduceSum, sub, where } from "../graph/ops.js";
import type { Value } from "../graph/value.js";

/** One mini-batch, every value flat [N]; and the hyperparameters as scalars, so that changing one compiles nothing. */
export interface LossGraphInputs {
  readonly mask: Value;
  readonly advantages: Value;
  readonly returns: Value;
  readonly logprobs: Value;
  readonly values: Value;
  readonly newLogprobs: Value;
  readonly newValues: Value;
  readonly cliprange: Value;
  readonly cliprangeValue: Value;
  readonly vfCoef: Value;
}

/** `x` limited to [low, high]; the gradient passes inside and on the limits. */
function limit(x: Value, low: Value, high: Value): Value {
  return where(less(x, low), low, where(greater(x, high), high, x));
}

/** The larger of two, element by element; on a tie, `a`. */
function larger(a: Value, b: Value): Value {
  return where(less(a, b), b, a);
}

/** Total loss of a mini-batch: policy loss plus `vfCoef` times value loss, a scalar. */
export function ppoLossGraph(inputs: LossGraphInputs): Value {
  const { mask, advantages, returns, logprobs, values, newLogprobs, newValues } = inputs;
  const { cliprange, cliprangeValue, vfCoef } = inputs;
  const count = max(reduceSum(mask), 1);
  const mean = (x: Value): Value => div(reduceSum(mul(x, mask)), count);

  // Masked before the exponential: what does not count must not overflow.
  const ratio = exp(mul(sub(newLogprobs, logprobs), mask));
  const clippedRatio = limit(ratio, sub(1, cliprange), add(1, cliprange));
  const policyLoss = mean(larger(neg(mul(advantages, ratio)), neg(mul(advantages, clippedRatio))));

  const clippedValues = limit(newValues, sub(values, cliprangeValue), add(values, cliprangeValue));
  const error = sub(newValues, returns);
  const clippedError = sub(clippedValues, returns);
  // Compared by magnitude and squared after: the same choice as comparing the squares.
  const worse = where(less(abs(error), abs(clippedError)), clippedError, error);
  const valueLoss = mul(0.5, mean(mul(worse, worse)));

  return add(policyLoss, mul(vfCoef, valueLoss));
}
