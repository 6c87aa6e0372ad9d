import { z } from "zod";
import { fingerprint } from "../fingerprint.js";
import { type ModelConfig, type ModelKind, parameterShapes, valueHeadShapes } from "../nn/config.js";
import { float32, type Params } from "../tensor.js";
import { type ParsedConfig, parseConfig, read } from "./config.js";
import { createTokenizer, missingTokenizer, type Tokenizer } from "./tokenizer.js";

/** The JSON files of a Hugging Face folder, as read; what saving writes back. */
export interface ModelFiles {
  readonly config: Readonly<Record<string, unknown>>;
  readonly generationConfig?: Readonly<Record<string, unknown>> | undefined;
  readonly tokenizer?: Readonly<Record<string, unknown>> | undefined;
  readonly tokenizerConfig?: Readonly<Record<string, unknown>> | undefined;
}

/** A language model (or reward model) as a frozen value: changing its weights makes another one ({@link withParams}). */
export interface CausalLM {
  readonly name: string;
  /** `reward`: the head gives one score per token instead of logits. */
  readonly kind: ModelKind;
  readonly config: ModelConfig;
  /** Parameters by Hugging Face name; `v_head.summary.weight` [1, D] and `.bias` [1] where there is a value head. */
  readonly params: Params;
  readonly tokenizer: Tokenizer;
  readonly generation: {
    /** Any of these ends a response. */
    readonly eosTokenIds: readonly number[];
    readonly bosTokenId: number | undefined;
    readonly padTokenId: number;
  };
  readonly files: ModelFiles;
  /** Of the parameters: equal weights, equal fingerprint. Computed when first asked for. */
  readonly fingerprint: string;
}

const idList = z.union([z.int().min(0), z.array(z.int().min(0))]).nullish();
const generationSchema = z.looseObject({
  eos_token_id: idList,
  bos_token_id: z.int().nullish(),
  pad_token_id: z.int().nullish(),
});

/**
 * Puts a model together, and checks that the parameters are those that the configuration asks for.
 * @param where what to call the model's source in errors; the name by default.
 * @throws Error naming the source and the parameter that is missing or has another shape.
 */
export function createModel(parts: { name: string; files: ModelFiles; params: Params; where?: string }): CausalLM {
  const { name, files, params, where = name } = parts;
  const parsed = parseConfig(files.config, `${where}: config.json`);
  checkParams(parsed.config, parsed.kind, params, where);
  const generationConfig = read(generationSchema, files.generationConfig ?? {}, `${where}: generation_config.json`);
  const tokenizer = tokenizerOf(files, parsed, where);
  const eosTokenIds = firstGiven(
    [generationConfig.eos_token_id ?? []].flat(),
    parsed.eosTokenIds,
    [tokenizer.eosTokenId ?? []].flat(),
  );
  const generation = Object.freeze({
    eosTokenIds: Object.freeze(eosTokenIds),
    bosTokenId: generationConfig.bos_token_id ?? parsed.bosTokenId ?? tokenizer.bosTokenId,
    padTokenId: generationConfig.pad_token_id ?? parsed.padTokenId ?? tokenizer.padTokenId ?? eosTokenIds[0] ?? 0,
  });
  return seal({ name, kind: parsed.kind, config: parsed.config, params, tokenizer, generation, files });
}

/**
 * The same model with other parameters, of the same names and shapes (a value head may come or go).
 * @throws Error naming the parameter that does not fit.
 */
export function withParams(model: CausalLM, params: Params, name: string = model.name): CausalLM {
  checkParams(model.config, model.kind, params, name);
  const { kind, config, tokenizer, generation, files } = model;
  return seal({ name, kind, config, params, tokenizer, generation, files });
}

/** Whether the model has a value head. */
export function hasValueHead(model: CausalLM): boolean {
  return model.params.has("v_head.summary.weight");
}

/**
 * The model with a value head; unchanged if it has one. A new head is drawn as PyTorch draws a linear layer, which is
 * how TRL begins: weight and bias uniform in +-1/sqrt(hiddenSize).
 * @param uniform a stream of numbers in [0, 1).
 */
export function withValueHead(model: CausalLM, uniform: () => number): CausalLM {
  if (hasValueHead(model)) return model;
  const bound = 1 / Math.sqrt(model.config.hiddenSize);
  const params = new Map(model.params);
  for (const [name, shape] of valueHeadShapes(model.config)) {
    const length = shape.reduce((size, dim) => size * dim, 1);
    params.set(
      name,
      float32(
        shape,
        Float32Array.from({ length }, () => (2 * uniform() - 1) * bound),
      ),
    );
  }
  return withParams(model, params);
}

/** How many numbers a model has learned. */
export function countParameters(params: Params): number {
  let count = 0;
  for (const { data } of params.values()) count += data.length;
  return count;
}

function seal(parts: Omit<CausalLM, "fingerprint">): CausalLM {
  let known: string | undefined;
  const model = {
    ...parts,
    get fingerprint() {
      known ??= fingerprint(parts.params);
      return known;
    },
    // Without this, a model at the end of a notebook cell would print its weights.
    [Symbol.for("nodejs.util.inspect.custom")]: () => describe(parts),
  };
  return Object.freeze(model);
}

function describe({ name, kind, config, params, tokenizer }: Omit<CausalLM, "fingerprint">): string {
  const millions = (countParameters(params) / 1e6).toFixed(1);
  const heads =
    config.modelType === "gpt2" || config.numKeyValueHeads === config.numHeads
      ? `${config.numHeads} heads`
      : `${config.numHeads} heads on ${config.numKeyValueHeads}`;
  return [
    `${kind === "reward" ? "Reward model" : "Model"} "${name}": ${config.modelType}, ${millions} M parameters`,
    `  ${config.numLayers} layers of ${config.hiddenSize}, ${heads}, context ${config.maxPositions}, vocabulary ${config.vocabSize}`,
    `  ${params.has("v_head.summary.weight") ? "with" : "without"} value head, ${tokenizer.available ? "with" : "without"} tokenizer${tokenizer.chatTemplate ? " and chat template" : ""}`,
  ].join("\n");
}

function firstGiven(...lists: readonly (readonly number[])[]): number[] {
  return [...(lists.find((list) => list.length > 0) ?? [])];
}

function tokenizerOf(files: ModelFiles, parsed: ParsedConfig, where: string): Tokenizer {
  if (!files.tokenizer) return missingTokenizer(where, parsed.config.vocabSize);
  return createTokenizer(files.tokenizer, files.tokenizerConfig, `${where}: tokenizer.json`, {
    bosTokenId: parsed.bosTokenId,
    eosTokenId: parsed.eosTokenIds[0],
    padTokenId: parsed.padTokenId,
  });
}

function checkParams(config: ModelConfig, kind: ModelKind, params: Params, where: string): void {
  const wanted = parameterShapes(config, kind);
  for (const [name, shape] of wanted) checkShape(name, shape, params, where);
  const head = valueHeadShapes(config);
  if ([...head.keys()].some((name) => params.has(name))) {
    for (const [name, shape] of head) checkShape(name, shape, params, where);
  }
  for (const name of params.keys()) {
    if (!wanted.has(name) && !head.has(name)) {
      throw new Error(
        `${where}: parameter "${name}" has no place in a ${config.modelType} with this configuration. Do config.json and the weights belong together?`,
      );
    }
  }
}

function checkShape(name: string, shape: readonly number[], params: Params, where: string): void {
  const value = params.get(name);
  if (!value)
    throw new Error(
      `${where}: parameter "${name}" [${shape.join(", ")}] is missing. Do config.json and the weights belong together?`,
    );
  if (value.shape.join() !== shape.join()) {
    throw new Error(
      `${where}: parameter "${name}" has shape [${value.shape.join(", ")}], the configuration asks for [${shape.join(", ")}]. Do config.json and the weights belong together?`,
    );
  }
}
