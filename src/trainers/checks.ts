import type { PPOConfig } from "./config.js";
import { TrainerError } from "./errors.js";
import type { Advantaged, FinishReason } from "./stages.js";

/** Responses that were written elsewhere, for `PPOTrainer.rolloutOf`. */
export interface RecordedEpisodes {
  readonly queryIds: readonly (readonly number[])[];
  readonly responseIds: readonly (readonly number[])[];
  /** 1 for each response token that counts; all count by default. */
  readonly responseMask?: readonly (readonly number[])[];
  readonly finishReasons?: readonly FinishReason[];
}

/** @throws TrainerError naming the episode and token of the first number that is not finite. */
export function checkTrainable(advantaged: Advantaged, config: PPOConfig, call: string): void {
  const count = advantaged.prompts.length;
  if (count !== config.batchSize) {
    throw new TrainerError(
      `${call}: this value has ${count} episodes and batchSize is ${config.batchSize}; make a rollout of ${config.batchSize}, or a trainer with batchSize: ${count}`,
    );
  }
  const columns = advantaged.responseMask.shape[1] ?? 0;
  for (const name of ["logprobs", "refLogprobs", "values", "kl", "rewards", "returns", "advantages"] as const) {
    const { data } = advantaged[name];
    const at = data.findIndex((value, i) => advantaged.responseMask.data[i] !== 0 && !Number.isFinite(value));
    if (at < 0) continue;
    const [row, t] = [Math.floor(at / columns), at % columns];
    const token = JSON.stringify(advantaged.tokens[row]?.[t] ?? "");
    const hint =
      name === "advantages"
        ? "; whitening needs at least two tokens that count"
        : "; look at it with trainer.score(rollout)";
    throw new TrainerError(`${call}: ${name} of episode ${row}, token ${t} (${token}) is ${data[at]}${hint}`);
  }
}

/** Checks responses that come from outside. */
export function checkRecorded(
  { queryIds, responseIds, responseMask, finishReasons }: RecordedEpisodes,
  vocabSize: number,
  maxPositions: number,
): void {
  const count = queryIds.length;
  if (count === 0) throw new TrainerError("rolloutOf: no episodes; pass at least one prompt and response");
  for (const [name, list] of [
    ["responseIds", responseIds],
    ["responseMask", responseMask],
    ["finishReasons", finishReasons],
  ] as const) {
    if (list !== undefined && list.length !== count) {
      throw new TrainerError(`rolloutOf: ${name} has ${list.length} entries for ${count} prompts`);
    }
  }
  for (let row = 0; row < count; row++) {
    const query = queryIds[row] ?? [];
    const response = responseIds[row] ?? [];
    if (query.length === 0)
      throw new TrainerError(`rolloutOf: prompt ${row} is empty; a response needs at least one token before it`);
    if (response.length === 0)
      throw new TrainerError(
        `rolloutOf: response ${row} is empty; leave the episode out, or end it with the end-of-sequence token`,
      );
    for (const id of [...query, ...response]) {
      if (!Number.isInteger(id) || id < 0 || id >= vocabSize) {
        throw new TrainerError(
          `rolloutOf: token id ${id} of episode ${row} is not in the vocabulary (0 to ${vocabSize - 1})`,
        );
      }
    }
    if (query.length + response.length > maxPositions) {
      throw new TrainerError(
        `rolloutOf: episode ${row} has ${query.length} + ${response.length} tokens and the model's context is ${maxPositions}; shorten it`,
      );
    }
    const mask = responseMask?.[row];
    if (mask === undefined) continue;
    if (mask.length !== response.length) {
      throw new TrainerError(`rolloutOf: responseMask ${row} has ${mask.length} entries for ${response.length} tokens`);
    }
    if (mask.some((value) => value !== 0 && value !== 1))
      throw new TrainerError(`rolloutOf: responseMask ${row} has other values than 0 and 1`);
    if (!mask.includes(1))
      throw new TrainerError(`rolloutOf: no token of episode ${row} counts; leave the episode out`);
  }
}

/** Checks orders that come from outside: one per epoch, each with every episode once. */
export function checkPermutations(
  permutations: readonly (readonly number[])[] | undefined,
  { batchSize, ppoEpochs }: PPOConfig,
  call: string,
): void {
  if (permutations === undefined) return;
  for (let epoch = 0; epoch < permutations.length; epoch++) {
    const order = permutations[epoch] ?? [];
    const sorted = [...order].sort((a, b) => a - b);
    if (sorted.length !== batchSize || sorted.some((row, i) => row !== i)) {
      throw new TrainerError(
        `${call}: permutations[${epoch}] is [${order.join(", ").slice(0, 80)}]; expected each of 0 to ${batchSize - 1} once, for each of ${ppoEpochs} epochs`,
      );
    }
  }
}
