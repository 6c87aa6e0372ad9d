import { ppoLosses } from "../rl/losses.js";
import { maskedMean } from "../rl/masked.js";
import { float32, type Params, type Tensor } from "../tensor.js";
import type { PPOConfig } from "./config.js";
import { pack, packValues, takeRows, unpack, unpadded } from "./episodes.js";
import { TrainerError } from "./errors.js";
import type { Passes } from "./passes.js";
import type { Advantaged, MinibatchResult } from "./stages.js";
import { minibatchStats } from "./trlStats.js";

/** Forward and backward over some episodes: what stands before the optimizer step. */
export async function trainingPass(
  passes: Passes,
  advantaged: Advantaged,
  config: PPOConfig,
  params: Params,
  at: {
    readonly rows: readonly number[];
    readonly epoch: number;
    readonly index: number;
    readonly steps: boolean;
    readonly signal: AbortSignal;
    readonly allocate: (length: number) => Float32Array;
  },
): Promise<{ readonly result: MinibatchResult; readonly gradients: Params }> {
  const { rows, epoch, index } = at;
  const columns = advantaged.responseIds.shape[1] ?? 0;
  const ids = {
    queryIds: advantaged.queryIds,
    responseIds: unpadded(advantaged.responseIds, advantaged.responseLengths),
  };
  const episodes = pack(ids, rows, columns, config);
  const packed = (tensor: Tensor<"float32">): Tensor<"float32"> => packValues(tensor.data, rows, columns, episodes);
  const batch = {
    mask: packed(advantaged.responseMask),
    advantages: packed(advantaged.advantages),
    returns: packed(advantaged.returns),
    logprobs: packed(advantaged.logprobs),
    values: packed(advantaged.values),
  };
  const pass = await passes.backward(params, episodes, batch, config, at);
  const terms = ppoLosses(
    {
      mask: batch.mask.data,
      advantages: batch.advantages.data,
      returns: batch.returns.data,
      logprobs: batch.logprobs.data,
      values: batch.values.data,
      newLogprobs: pass.newLogprobs,
      newValues: pass.newValues,
    },
    config,
  );
  const entropy = maskedMean(pass.entropy, batch.mask.data);
  const skipped = terms.meanRatio > config.ratioThreshold;
  const gradientNorms: Record<string, number> = {};
  let squares = 0;
  for (const [name, length] of pass.gradientNorms) {
    gradientNorms[name] = length;
    squares += length ** 2;
    if (!Number.isFinite(length)) throw notFinite(`the gradient of "${name}" is ${length}`, epoch, index, config);
  }
  if (!Number.isFinite(terms.totalLoss)) throw notFinite(`the loss is ${terms.totalLoss}`, epoch, index, config);
  const newLogprobs = unpack(pass.newLogprobs, episodes, columns);
  const ratio = takeRows(advantaged.logprobs, rows).data.map((old, i) =>
    (advantaged.responseMask.data[(rows[Math.floor(i / columns)] ?? 0) * columns + (i % columns)] ?? 0) === 0
      ? 0
      : Math.exp((newLogprobs.data[i] ?? Number.NaN) - old),
  );
  const result: MinibatchResult = Object.freeze({
    epoch,
    index,
    rows: Object.freeze([...rows]),
    policyLoss: terms.policyLoss,
    valueLoss: terms.valueLoss,
    totalLoss: terms.totalLoss,
    entropy,
    approxKl: terms.approxKl,
    policyKl: terms.policyKl,
    clipFrac: terms.clipFrac,
    valueClipFrac: terms.valueClipFrac,
    newLogprobs,
    newValues: unpack(pass.newValues, episodes, columns),
    ratio: float32(newLogprobs.shape, ratio),
    meanRatio: terms.meanRatio,
    gradientNorm: Math.sqrt(squares),
    gradientNorms: Object.freeze(gradientNorms),
    skipped,
    steps: at.steps,
    stats: minibatchStats(terms, entropy, skipped),
  });
  return { result, gradients: pass.gradients };
}

function notFinite(what: string, epoch: number, index: number, { learningRate }: PPOConfig): TrainerError {
  return new TrainerError(
    `update: ${what} in mini-batch ${index} of epoch ${epoch}; the trainer stands as before. Lower learningRate (${learningRate}), or set maxGradNorm with clipGradOnce: false`,
  );
}
