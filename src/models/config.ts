import { z } from "zod";
import type { Gpt2Config, LlamaConfig, ModelConfig, ModelKind, NeoxConfig, RopeScaling } from "../nn/config.js";

/** A config.json, read: the shape of the network, what stands on top of it, and the ids it names. */
export interface ParsedConfig {
  readonly config: ModelConfig;
  readonly kind: ModelKind;
  readonly bosTokenId: number | undefined;
  readonly eosTokenIds: readonly number[];
  readonly padTokenId: number | undefined;
}

/**
 * Reads a Hugging Face config.json, in the form of transformers 4 (`rope_theta`, `rope_scaling`, `torch_dtype` at the top)
 * or 5 (`rope_parameters`, `dtype`).
 * @param where the file's name, for errors.
 * @throws Error naming the file, the field, its value and what was expected.
 */
export function parseConfig(json: unknown, where: string): ParsedConfig {
  const { model_type: modelType } = read(z.looseObject({ model_type: z.string() }), json, where);
  const family = families.get(modelType);
  if (!family) {
    const known = [...families.keys()].join(", ");
    throw new Error(
      `${where}: model_type is "${modelType}"; policyscope runs ${known}. Choose a model of one of these families.`,
    );
  }
  const common = read(commonSchema, json, where);
  const kind = common.architectures?.some((name) => name.endsWith("ForSequenceClassification"))
    ? "reward"
    : "causal-lm";
  if (kind === "reward") {
    const labels = common.num_labels ?? (common.id2label ? Object.keys(common.id2label).length : 2);
    if (labels !== 1)
      throw new Error(`${where}: the classifier has ${labels} labels; a reward model has 1 (num_labels: 1).`);
  }
  return Object.freeze({
    config: Object.freeze(family(json, where, modelType)),
    kind,
    bosTokenId: common.bos_token_id ?? undefined,
    eosTokenIds: Object.freeze([common.eos_token_id ?? []].flat()),
    padTokenId: common.pad_token_id ?? undefined,
  });
}

/** Checks data from outside against a schema; the error names the file, the field and what was expected there. */
export function read<T>(schema: z.ZodType<T>, data: unknown, where: string): T {
  const result = schema.safeParse(data);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const path = issue?.path.map(String).join(".") || "the top level";
  let value: unknown = data;
  for (const key of issue?.path ?? []) {
    value = typeof value === "object" && value !== null ? (value as Record<PropertyKey, unknown>)[key] : undefined;
  }
  const shown = value === undefined ? "missing" : (JSON.stringify(value)?.slice(0, 80) ?? String(value));
  throw new Error(
    `${where}: ${path} is ${shown}: ${issue?.message ?? "not what was expected"}. Is the file complete, and from a Hugging Face model?`,
  );
}

const size = z
  .int()
  .min(1)
  .max(2 ** 31 - 1);
const epsilon = z.number().min(0).max(1);
const tokenId = z
  .int()
  .min(0)
  .max(2 ** 31 - 1)
  .nullish();

const commonSchema = z.looseObject({
  architectures: z.array(z.string()).nullish(),
  num_labels: z.int().nullish(),
  id2label: z.record(z.string(), z.unknown()).nullish(),
  bos_token_id: tokenId,
  eos_token_id: z.union([tokenId, z.array(z.int().min(0))]).nullish(),
  pad_token_id: z
    .int()
    .nullish()
    .transform((id) => (id != null && id >= 0 ? id : null)),
});

const activationSchema = z.enum(["gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "relu", "silu", "swish"]);
const activations = {
  gelu: "gelu",
  gelu_new: "gelu_tanh",
  gelu_fast: "gelu_tanh",
  gelu_pytorch_tanh: "gelu_tanh",
  relu: "relu",
  silu: "silu",
  swish: "silu",
} as const;

const gpt2Schema = z.looseObject({
  vocab_size: size,
  n_embd: size,
  n_layer: size.max(1000),
  n_head: size,
  n_positions: size,
  n_inner: size.nullish(),
  layer_norm_epsilon: epsilon.default(1e-5),
  activation_function: activationSchema.default("gelu_new"),
  scale_attn_weights: z.boolean().default(true),
  scale_attn_by_inverse_layer_idx: z.boolean().default(false),
  add_cross_attention: z.literal(false).default(false),
  tie_word_embeddings: z.boolean().default(true),
});

function gpt2(json: unknown, where: string): Gpt2Config {
  const c = read(gpt2Schema, json, where);
  divides(where, "n_head", c.n_head, "n_embd", c.n_embd);
  return {
    modelType: "gpt2",
    vocabSize: c.vocab_size,
    hiddenSize: c.n_embd,
    numLayers: c.n_layer,
    numHeads: c.n_head,
    maxPositions: c.n_positions,
    intermediateSize: c.n_inner ?? 4 * c.n_embd,
    layerNormEpsilon: c.layer_norm_epsilon,
    activation: activations[c.activation_function],
    scaleAttention: c.scale_attn_weights,
    scaleAttentionByLayer: c.scale_attn_by_inverse_layer_idx,
    tieWordEmbeddings: c.tie_word_embeddings,
  };
}

const ropeSchema = z.looseObject({
  rope_type: z.string().optional(),
  type: z.string().optional(),
  rope_theta: z.number().positive().optional(),
  factor: z.number().positive().optional(),
  low_freq_factor: z.number().positive().optional(),
  high_freq_factor: z.number().positive().optional(),
  original_max_position_embeddings: size.optional(),
});

const llamaSchema = z.looseObject({
  vocab_size: size,
  hidden_size: size,
  num_hidden_layers: size.max(1000),
  num_attention_heads: size,
  num_key_value_heads: size.nullish(),
  head_dim: size.nullish(),
  intermediate_size: size,
  max_position_embeddings: size,
  rms_norm_eps: epsilon.default(1e-6),
  hidden_act: z.enum(["silu", "swish"]).default("silu"),
  rope_theta: z.number().positive().nullish(),
  rope_scaling: ropeSchema.nullish(),
  rope_parameters: ropeSchema.nullish(),
  attention_bias: z.boolean().nullish(),
  mlp_bias: z.boolean().nullish(),
  use_sliding_window: z.boolean().nullish(),
  sliding_window: size.nullish(),
  tie_word_embeddings: z.boolean().default(false),
});

function llama(json: unknown, where: string, modelType: string): LlamaConfig {
  const c = read(llamaSchema, json, where);
  const numKeyValueHeads = c.num_key_value_heads ?? c.num_attention_heads;
  divides(where, "num_key_value_heads", numKeyValueHeads, "num_attention_heads", c.num_attention_heads);
  if (c.head_dim == null) divides(where, "num_attention_heads", c.num_attention_heads, "hidden_size", c.hidden_size);
  const headDim = c.head_dim ?? c.hidden_size / c.num_attention_heads;
  if (headDim % 2 !== 0) throw new Error(`${where}: head_dim is ${headDim}; rotary positions need an even one.`);
  const windowed =
    modelType === "mistral" ? c.sliding_window != null : c.use_sliding_window === true && c.sliding_window != null;
  // Within its window, sliding attention is full attention: the model is the same up to that length.
  const maxPositions = windowed
    ? Math.min(c.max_position_embeddings, c.sliding_window ?? Number.POSITIVE_INFINITY)
    : c.max_position_embeddings;
  return {
    modelType: modelType === "qwen2" || modelType === "qwen3" || modelType === "mistral" ? modelType : "llama",
    vocabSize: c.vocab_size,
    hiddenSize: c.hidden_size,
    numLayers: c.num_hidden_layers,
    numHeads: c.num_attention_heads,
    maxPositions,
    intermediateSize: c.intermediate_size,
    numKeyValueHeads,
    headDim,
    rmsNormEpsilon: c.rms_norm_eps,
    ropeTheta: c.rope_parameters?.rope_theta ?? c.rope_theta ?? 10000,
    ropeScaling: ropeScaling(c.rope_parameters ?? c.rope_scaling ?? undefined, where),
    qkvBias: modelType === "qwen2" || c.attention_bias === true,
    outputBias: modelType !== "qwen2" && c.attention_bias === true,
    mlpBias: c.mlp_bias === true,
    qkNorm: modelType === "qwen3",
    tieWordEmbeddings: c.tie_word_embeddings,
  };
}

const neoxSchema = z.looseObject({
  vocab_size: size,
  hidden_size: size,
  num_hidden_layers: size.max(1000),
  num_attention_heads: size,
  intermediate_size: size,
  max_position_embeddings: size,
  layer_norm_eps: epsilon.default(1e-5),
  hidden_act: activationSchema.default("gelu"),
  rotary_pct: z.number().min(0).max(1).nullish(),
  rotary_emb_base: z.number().positive().nullish(),
  rope_theta: z.number().positive().nullish(),
  rope_scaling: ropeSchema.nullish(),
  rope_parameters: ropeSchema.extend({ partial_rotary_factor: z.number().min(0).max(1).optional() }).nullish(),
  attention_bias: z.boolean().default(true),
  use_parallel_residual: z.boolean().default(true),
  tie_word_embeddings: z.boolean().default(false),
});

function neox(json: unknown, where: string): NeoxConfig {
  const c = read(neoxSchema, json, where);
  divides(where, "num_attention_heads", c.num_attention_heads, "hidden_size", c.hidden_size);
  const headDim = c.hidden_size / c.num_attention_heads;
  const rotaryDim = Math.floor(headDim * (c.rope_parameters?.partial_rotary_factor ?? c.rotary_pct ?? 0.25));
  if (rotaryDim < 2 || rotaryDim % 2 !== 0) {
    throw new Error(
      `${where}: ${rotaryDim} of ${headDim} dimensions of a head are rotated; it must be an even number.`,
    );
  }
  return {
    modelType: "gpt_neox",
    vocabSize: c.vocab_size,
    hiddenSize: c.hidden_size,
    numLayers: c.num_hidden_layers,
    numHeads: c.num_attention_heads,
    maxPositions: c.max_position_embeddings,
    intermediateSize: c.intermediate_size,
    numKeyValueHeads: c.num_attention_heads,
    headDim,
    rotaryDim,
    ropeTheta: c.rope_parameters?.rope_theta ?? c.rope_theta ?? c.rotary_emb_base ?? 10000,
    ropeScaling: ropeScaling(c.rope_parameters ?? c.rope_scaling ?? undefined, where),
    layerNormEpsilon: c.layer_norm_eps,
    activation: activations[c.hidden_act],
    attentionBias: c.attention_bias,
    parallelResidual: c.use_parallel_residual,
    tieWordEmbeddings: c.tie_word_embeddings,
  };
}

function ropeScaling(rope: z.infer<typeof ropeSchema> | undefined, where: string): RopeScaling | undefined {
  const type = rope?.rope_type ?? rope?.type ?? "default";
  if (!rope || type === "default") return undefined;
  const need = (field: "factor" | "low_freq_factor" | "high_freq_factor" | "original_max_position_embeddings") => {
    const value = rope[field];
    if (value === undefined) throw new Error(`${where}: rope type "${type}" needs ${field}, which is missing.`);
    return value;
  };
  if (type === "linear") return { type, factor: need("factor") };
  if (type === "llama3") {
    return {
      type,
      factor: need("factor"),
      lowFreqFactor: need("low_freq_factor"),
      highFreqFactor: need("high_freq_factor"),
      originalMaxPositions: need("original_max_position_embeddings"),
    };
  }
  throw new Error(`${where}: rope type "${type}" is not supported; default, linear and llama3 are.`);
}

function divides(where: string, name: string, value: number, ofName: string, of: number): void {
  if (of % value !== 0) throw new Error(`${where}: ${name} is ${value}, which does not divide ${ofName} ${of}.`);
}

const families = new Map<string, (json: unknown, where: string, modelType: string) => ModelConfig>([
  ["gpt2", gpt2],
  ["llama", llama],
  ["mistral", llama],
  ["qwen2", llama],
  ["qwen3", llama],
  ["gpt_neox", neox],
]);
