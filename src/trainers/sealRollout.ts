import type { CausalLM } from "../models/model.js";
import { float32, int32 } from "../tensor.js";
import { widest } from "./episodes.js";
import { seal } from "./seal.js";
import type { FinishReason, Rollout, StageValue } from "./stages.js";

/** Episodes as they were sampled or recorded, unpadded. */
export interface WrittenEpisodes {
  readonly prompts: readonly string[];
  readonly queryIds: readonly (readonly number[])[];
  readonly responseIds: readonly ArrayLike<number>[];
  /** Every token counts, by default. */
  readonly responseMask?: readonly (readonly number[])[] | undefined;
  readonly logprobs: readonly ArrayLike<number>[];
  readonly finishReasons: readonly FinishReason[];
}

/** The value of a rollout: episodes as [B, T] tensors with their texts, frozen. */
export function sealRollout(
  { tokenizer, generation }: CausalLM,
  provenance: Pick<StageValue, "step" | "trainer" | "config" | "parameters">,
  episodes: WrittenEpisodes,
): Rollout {
  const lengths = episodes.responseIds.map(({ length }) => length);
  const columns = widest(episodes.responseIds);
  const shape = [lengths.length, columns];
  const ids = new Int32Array(lengths.length * columns).fill(generation.padTokenId);
  const mask = new Float32Array(ids.length);
  const logprobs = new Float32Array(ids.length);
  for (const [row, response] of episodes.responseIds.entries()) {
    ids.set(Array.from(response), row * columns);
    for (let t = 0; t < response.length; t++) {
      mask[row * columns + t] = episodes.responseMask?.[row]?.[t] ?? 1;
      logprobs[row * columns + t] = episodes.logprobs[row]?.[t] ?? Number.NaN;
    }
  }
  const frozen = (list: ArrayLike<number>): readonly number[] => Object.freeze(Array.from(list));
  const responses = episodes.responseIds.map((response) =>
    tokenizer.available
      ? tokenizer.decode(response, { skipSpecialTokens: true })
      : Array.from(response, (id) => tokenizer.tokenText(id)).join(""),
  );
  return seal<Rollout>({
    ...provenance,
    stage: "rollout",
    prompts: Object.freeze([...episodes.prompts]),
    responses: Object.freeze(responses),
    queryIds: Object.freeze(episodes.queryIds.map(frozen)),
    responseIds: int32(shape, ids),
    tokens: Object.freeze(
      episodes.responseIds.map((response) => Object.freeze(Array.from(response, (id) => tokenizer.tokenText(id)))),
    ),
    responseMask: float32(shape, mask),
    responseLengths: Object.freeze(lengths),
    logprobs: float32(shape, logprobs),
    finishReasons: Object.freeze([...episodes.finishReasons]),
  });
}
