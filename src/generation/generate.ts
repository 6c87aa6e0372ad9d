import type { ProgramCache } from "../engine/programCache.js";
import { type RandomStream, stream } from "../random.js";
import { Decoder, type GeneratingModel } from "./decoder.js";
import { type LogitsProcessor, type ProcessorOptions, processors } from "./processors.js";

/** How responses are written: lengths, stops, and what the {@link ProcessorOptions} say about the choice of each token. */
export interface GenerationOptions extends ProcessorOptions {
  /** Longest response, in tokens. */
  readonly maxNewTokens: number;
  /** Tokens that end a response, in place of the model's own end-of-sequence tokens; none if empty. */
  readonly stopTokens?: readonly number[];
}

/** What surrounds a generation. */
export interface GenerationContext {
  /** Looked at before every token. */
  readonly signal?: AbortSignal | undefined;
  /** With `step` and a sequence's index it decides every random choice of that sequence. */
  readonly seed: number;
  readonly step?: number;
  /** Called after each token of each sequence, for live views. */
  readonly onToken?: ((token: GeneratedToken) => void) | undefined;
}

/** One token, as it is written. */
export interface GeneratedToken {
  /** Index of the prompt. */
  readonly sequence: number;
  /** 0 for the first token of the response. */
  readonly index: number;
  readonly tokenId: number;
  readonly logprob: number;
}

/** Responses, one per prompt. */
export interface Generated {
  /** Without padding; the stop token is there where one was written. */
  readonly responseIds: readonly Int32Array[];
  /** Log-probability of each response token under the model itself, whatever temperature and filters decided: what scoring computes. */
  readonly logprobs: readonly Float32Array[];
  readonly finishReasons: readonly ("stop" | "length")[];
}

/**
 * Writes a response to every prompt. What a sequence says depends on its prompt, the seed, the step and its index alone,
 * not on the other prompts of the batch (up to float rounding).
 * @param prompts token ids, unpadded
 * @throws RangeError naming the prompt that is empty, has an unknown token or leaves no room for `maxNewTokens`
 * @throws the signal's reason if it is aborted
 */
export async function generate(
  programs: ProgramCache,
  model: GeneratingModel,
  prompts: readonly (readonly number[])[],
  options: GenerationOptions,
  context: GenerationContext,
): Promise<Generated> {
  const { signal, seed, step = 0, onToken } = context;
  checkRequest(model, prompts, options);
  const stops = new Set(options.stopTokens ?? model.generation.eosTokenIds);
  const sequences = prompts.map((prompt, sequence): Sequence => {
    const place = {
      promptLength: prompt.length,
      maxLength: prompt.length + options.maxNewTokens,
      eosTokenIds: [...stops],
    };
    return {
      sequence,
      ids: [...prompt],
      promptLength: prompt.length,
      logprobs: [],
      chain: processors(options, place),
      random: (options.doSample ?? true) ? stream(seed, "sample", step, sequence) : undefined,
      finished: undefined,
    };
  });
  let writing = sequences;
  if (writing.length > 0 && options.maxNewTokens > 0) {
    const decoder = await Decoder.start(programs, model, prompts, options.maxNewTokens, signal);
    for (;;) {
      writing.forEach((sequence, row) => {
        if (sequence.finished) return;
        const token = choose(decoder.logits(row), sequence);
        sequence.ids.push(token);
        const logprob = decoder.logprob(row, token);
        sequence.logprobs.push(logprob);
        const index = sequence.logprobs.length - 1;
        onToken?.({ sequence: sequence.sequence, index, tokenId: token, logprob });
        if (stops.has(token)) sequence.finished = "stop";
        else if (index + 1 === options.maxNewTokens) sequence.finished = "length";
      });
      signal?.throwIfAborted();
      const unfinished = writing.filter(({ finished }) => !finished);
      if (unfinished.length === 0) break;
      const rows = decoder.worthwhileRows(unfinished.length);
      if (rows < writing.length) {
        // Some finished sequences may have to stay to make the number up.
        const kept = [...unfinished, ...writing.filter(({ finished }) => finished)].slice(0, rows);
        decoder.keep(kept.map((sequence) => writing.indexOf(sequence)));
        writing = kept;
      }
      await decoder.next(
        writing.map(({ ids }) => ids.at(-1) ?? 0),
        signal,
      );
    }
  }
  return Object.freeze({
    responseIds: sequences.map(({ ids, promptLength }) => Int32Array.from(ids.slice(promptLength))),
    logprobs: sequences.map(({ logprobs }) => Float32Array.from(logprobs)),
    finishReasons: sequences.map(({ finished }) => finished ?? "length"),
  });
}

/** A response while it is written. */
interface Sequence {
  readonly sequence: number;
  /** Prompt, then response. */
  readonly ids: number[];
  readonly promptLength: number;
  readonly logprobs: number[];
  readonly chain: readonly LogitsProcessor[];
  /** Undefined for greedy choice. */
  readonly random: RandomStream | undefined;
  finished: "stop" | "length" | undefined;
}

/** The next token of a sequence. `logits` `[V]` is scratch: processors write into it. */
function choose(logits: Float32Array, { chain, ids, random, sequence }: Sequence): number {
  for (const processor of chain) processor(logits, ids);
  let best = 0;
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < logits.length; i++) {
    const logit = logits[i] as number;
    if (logit > max) {
      max = logit;
      best = i;
    }
  }
  if (!Number.isFinite(max)) {
    throw new Error(
      `sequence ${sequence} has no token to go on with: every logit is -Infinity or not a number. Are all tokens suppressed, or the model's parameters not finite?`,
    );
  }
  if (!random) return best;
  let total = 0;
  for (let i = 0; i < logits.length; i++) {
    const logit = logits[i] as number;
    logits[i] = logit === Number.NEGATIVE_INFINITY ? 0 : Math.exp(logit - max);
    total += logits[i] as number;
  }
  let left = random.uniform() * total;
  for (let i = 0; i < logits.length; i++) {
    left -= logits[i] as number;
    if (left < 0) return i;
  }
  return best;
}

/** @throws RangeError naming the prompt that cannot be gone on from, or the option that makes no sense */
export function checkRequest(
  { name, config }: GeneratingModel,
  prompts: readonly (readonly number[])[],
  { maxNewTokens, minNewTokens = 0, stopTokens = [], suppressTokens = [] }: GenerationOptions,
): void {
  if (!Number.isInteger(maxNewTokens) || maxNewTokens < 0) {
    throw new RangeError(`maxNewTokens is ${maxNewTokens}: expected a non-negative integer`);
  }
  if (!(minNewTokens >= 0 && minNewTokens <= maxNewTokens)) {
    throw new RangeError(`minNewTokens is ${minNewTokens}: expected a number from 0 to maxNewTokens (${maxNewTokens})`);
  }
  for (const id of [...stopTokens, ...suppressTokens]) {
    if (!Number.isInteger(id) || id < 0 || id >= config.vocabSize) {
      throw new RangeError(`stopTokens or suppressTokens name ${id}; ${name} has tokens 0 to ${config.vocabSize - 1}`);
    }
  }
  for (const [i, prompt] of prompts.entries()) {
    if (prompt.length === 0) {
      throw new RangeError(
        `prompt ${i} is empty: ${name} needs at least one token to go on from, such as its beginning-of-sequence token`,
      );
    }
    const unknown = prompt.find((id) => !Number.isInteger(id) || id < 0 || id >= config.vocabSize);
    if (unknown !== undefined) {
      throw new RangeError(`prompt ${i} has the token ${unknown}; ${name} has tokens 0 to ${config.vocabSize - 1}`);
    }
    if (prompt.length + maxNewTokens > config.maxPositions) {
      throw new RangeError(
        `prompt ${i} has ${prompt.length} tokens and may be followed by ${maxNewTokens}, but ${name} has room for ${config.maxPositions} in all: shorten the prompt or lower maxNewTokens`,
      );
    }
  }
}
