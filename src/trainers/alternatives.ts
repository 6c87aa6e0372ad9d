import type { ProgramCache } from "../engine/programCache.js";
import { Decoder } from "../generation/decoder.js";
import type { CausalLM } from "../models/model.js";

/** A token that could have come at a position of a response. */
export interface Alternative {
  readonly id: number;
  readonly text: string;
  /** Probability under the policy, 0 to 1; temperature not applied. */
  readonly probability: number;
  /** Probability under the reference. */
  readonly reference: number;
}

/** The likeliest next tokens under a policy after some ids, the one that did come among them, likeliest first. */
export async function likeliestTokens(
  programs: ProgramCache,
  policy: CausalLM,
  reference: CausalLM,
  ids: readonly number[],
  came: number,
  count: number,
  signal: AbortSignal,
): Promise<readonly Alternative[]> {
  const after = async (model: CausalLM): Promise<Float32Array> =>
    (await Decoder.start(programs, model, [ids], 1, signal)).logprobs(0).slice();
  const own = await after(policy);
  const theirs = reference.params === policy.params ? own : await after(reference);
  const order = Array.from(own.keys()).sort((a, b) => (own[b] ?? 0) - (own[a] ?? 0));
  const best = order.slice(0, count);
  if (!best.includes(came)) best[best.length - 1] = came;
  return best.map((id) => ({
    id,
    text: policy.tokenizer.tokenText(id),
    probability: Math.exp(own[id] ?? Number.NEGATIVE_INFINITY),
    reference: Math.exp(theirs[id] ?? Number.NEGATIVE_INFINITY),
  }));
}
