import type { CausalLM } from "../models/model.js";
import { stream } from "../random.js";
import type { PPOConfig } from "./config.js";
import { TrainerError } from "./errors.js";

/** Prompts: texts, or rows with a text in `prompt`; a list or a data set. */
export type Prompts = Iterable<string | { readonly prompt: string }>;

/** The texts of prompts. @throws TrainerError naming the first that has none. */
export function promptTexts(prompts: Prompts): readonly string[] {
  if (typeof prompts === "string" || typeof prompts?.[Symbol.iterator] !== "function") {
    throw new TrainerError(
      `prompts must be a list of texts or a data set, not ${typeof prompts === "string" ? "one text; put it in brackets" : String(prompts)}`,
    );
  }
  const texts = Array.from(prompts, (row: unknown, i) => {
    const text = typeof row === "object" && row !== null && "prompt" in row ? row.prompt : row;
    if (typeof text !== "string") {
      throw new TrainerError(
        `prompt ${i} is ${JSON.stringify(row)?.slice(0, 80)}; expected a text, or a row with one in "prompt"${Array.isArray(row) ? "; token ids with their responses go to trainer.rolloutOf({ queryIds, responseIds })" : ""}`,
      );
    }
    if (text === "") throw new TrainerError(`prompt ${i} is empty; the policy needs at least one token to go on from`);
    return text;
  });
  if (texts.length === 0) throw new TrainerError("prompts: there are none; pass at least one");
  return texts;
}

/**
 * The batch of a step: all texts in order if there are exactly `batchSize`; otherwise the next `batchSize` of an endless
 * sequence in which every text comes once before any comes again, in an order that the seed decides.
 */
export function takeBatch(texts: readonly string[], { batchSize, seed }: PPOConfig, step: number): readonly string[] {
  if (texts.length === batchSize) return texts;
  const orders = new Map<number, Int32Array>();
  return Array.from({ length: batchSize }, (_, i) => {
    const at = step * batchSize + i;
    const round = Math.floor(at / texts.length);
    const order = orders.get(round) ?? stream(seed, "ppo/prompts", round).permutation(texts.length);
    orders.set(round, order);
    return texts[order[at % texts.length] ?? 0] ?? "";
  });
}

/**
 * Token ids of prompts.
 * @throws TrainerError for one without tokens, or that leaves no room for `maxNewTokens` in the model's context.
 */
export function encodePrompts(texts: readonly string[], model: CausalLM, { maxNewTokens }: PPOConfig): number[][] {
  const { maxPositions } = model.config;
  return texts.map((text, i) => {
    const ids = model.tokenizer.encode(text);
    const shown = JSON.stringify(text.length > 60 ? `${text.slice(0, 59)}…` : text);
    if (ids.length === 0)
      throw new TrainerError(`prompt ${i} (${shown}) has no tokens; the policy needs at least one to go on from`);
    if (ids.length + maxNewTokens > maxPositions) {
      throw new TrainerError(
        `prompt ${i} (${shown}) has ${ids.length} tokens; with maxNewTokens = ${maxNewTokens} that is more than the context of "${model.name}", ${maxPositions}. Shorten the prompt to ${Math.max(0, maxPositions - maxNewTokens)} tokens, or set a smaller maxNewTokens`,
      );
    }
    return ids;
  });
}
