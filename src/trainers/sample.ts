import type { ProgramCache } from "../engine/programCache.js";
import { generate } from "../generation/generate.js";
import type { CausalLM } from "../models/model.js";
import type { PPOConfig } from "./config.js";
import { TrainerError } from "./errors.js";

/** Ids of the tokens that end a response: the model's own, and the configured ones. */
export function stopIds({ tokenizer, generation, name }: CausalLM, { stopTokens }: PPOConfig): number[] {
  const ids = stopTokens.map((stop) => {
    if (typeof stop === "number") return stop;
    const encoded = tokenizer.encode(stop, { addSpecialTokens: false });
    const [id] = encoded;
    if (id === undefined || encoded.length !== 1) {
      throw new TrainerError(
        `config.stopTokens: ${JSON.stringify(stop)} is ${encoded.length} tokens of "${name}"; expected the text of one token, or a token id`,
      );
    }
    return id;
  });
  return [...new Set([...generation.eosTokenIds, ...ids])];
}

/** Samples a response to every prompt, as configured; the seed and the step decide every choice. */
export function sample(
  programs: ProgramCache,
  model: CausalLM,
  queryIds: readonly (readonly number[])[],
  config: PPOConfig,
  step: number,
  signal: AbortSignal,
) {
  const { maxNewTokens, minNewTokens, temperature, topK, topP, seed } = config;
  return generate(
    programs,
    model,
    queryIds,
    {
      maxNewTokens,
      stopTokens: stopIds(model, config),
      doSample: temperature > 0,
      ...(minNewTokens > 0 ? { minNewTokens } : {}),
      ...(temperature > 0 && temperature !== 1 ? { temperature } : {}),
      ...(topK > 0 ? { topK } : {}),
      ...(topP < 1 ? { topP } : {}),
    },
    { signal, seed, step },
  );
}
