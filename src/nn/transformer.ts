import type { Graph } from "../graph/graph.js";
import {
  add,
  cast,
  concat,
  cos,
  expand,
  fusedMatMul,
  gather,
  gelu,
  layerNormalization,
  matMul,
  mul,
  relu,
  reshape,
  rmsNormalization,
  rotaryEmbedding,
  silu,
  sin,
  slice,
  softmax,
  split,
  stopGradient,
  sub,
  transpose,
  trilu,
} from "../graph/ops.js";
import type { Value } from "../graph/value.js";
import { float32, sizeOf } from "../tensor.js";
import {
  embeddingName,
  type Gpt2Config,
  type LlamaConfig,
  type ModelConfig,
  type ModelKind,
  type NeoxConfig,
  parameterShapes,
  valueHeadShapes,
} from "./config.js";

/** Gives the graph's value of a parameter by its Hugging Face name. */
export type Weights = (name: string) => Value;

/**
 * Declares parameters as graph inputs of their own names, so that `run({ ...inputs, ...params })` feeds them.
 * Only those that are used become inputs of a program. `prefix` keeps two models in one graph apart.
 * @throws Error from the returned function for a name that the configuration does not have.
 */
export function weightsOf(graph: Graph, config: ModelConfig, kind: ModelKind = "causal-lm", prefix = ""): Weights {
  const shapes = new Map([...parameterShapes(config, kind), ...valueHeadShapes(config)]);
  return (name) => {
    const shape = shapes.get(name);
    if (!shape) throw new Error(`a ${config.modelType} (${kind}) has no parameter "${name}"`);
    return graph.input(prefix + name, "float32", shape);
  };
}

export interface TransformerInputs {
  /** Token ids, int32 [B, T]. */
  readonly inputIds: Value;
  /** Position of every token in its sequence, int32 [B, T]; what padding has there does not matter. */
  readonly positionIds: Value;
  /** float32, 1 = a real token, 0 = padding: [B, T], or [B, P + T] where the cache has P slots. */
  readonly attentionMask: Value;
}

/** Keys and values of one layer, float32 [B, numKeyValueHeads, P or T, headDim]. */
export interface KeyValues {
  readonly keys: Value;
  readonly values: Value;
}

export interface TransformerOutputs {
  /** After the final normalisation, float32 [B, T, D]; rows of padding hold nothing of use. */
  readonly hidden: Value;
  /** What to put into the cache: the T new rows of every layer. */
  readonly presents: readonly KeyValues[];
  /** The looked-up token embeddings [B, T, D]; with `detachEmbedding`, where their gradient is to be taken. */
  readonly embeddings: Value;
}

export interface TransformerOptions {
  /** The cache, one entry per layer; see {@link pastInputs}. */
  readonly past?: readonly KeyValues[] | undefined;
  /**
   * No gradient flows through the embedding's look-up into its table. Whoever trains takes the gradient of `embeddings`
   * and adds its rows to the table's, which is far cheaper than a scatter over the whole vocabulary.
   */
  readonly detachEmbedding?: boolean;
}

/**
 * One forward pass, the same for training, scoring and generation. Attention is causal and never sees padding. With
 * `past` the T tokens follow on the P slots of the cache, of which those count whose mask is 1.
 */
export function transformer(
  config: ModelConfig,
  weights: Weights,
  inputs: TransformerInputs,
  options: TransformerOptions = {},
): TransformerOutputs {
  if (config.modelType === "gpt2") return gpt2(config, weights, inputs, options);
  if (config.modelType === "gpt_neox") return neox(config, weights, inputs, options);
  return llama(config, weights, inputs, options);
}

/** Declares the cache of P slots as inputs `past.<layer>.keys` and `past.<layer>.values`. */
export function pastInputs(graph: Graph, config: ModelConfig, batchSize: number, slots: number): KeyValues[] {
  const heads = config.modelType === "gpt2" ? config.numHeads : config.numKeyValueHeads;
  const shape = [batchSize, heads, slots, headDimOf(config)];
  return Array.from({ length: config.numLayers }, (_, layer) => ({
    keys: graph.input(`past.${layer}.keys`, "float32", shape),
    values: graph.input(`past.${layer}.values`, "float32", shape),
  }));
}

/** Size of one attention head. */
export function headDimOf(config: ModelConfig): number {
  return config.modelType === "gpt2" ? config.hiddenSize / config.numHeads : config.headDim;
}

function gpt2(config: Gpt2Config, weights: Weights, inputs: TransformerInputs, options: TransformerOptions) {
  const embeddings = embed(config, weights, inputs, options);
  const [batch = 1, length = 1, width = 1] = embeddings.shape;
  const mask = attentionBias(inputs.attentionMask, length);
  const headDim = headDimOf(config);
  const norm = (x: Value, name: string) =>
    layerNormalization(x, weights(`${name}.weight`), weights(`${name}.bias`), config.layerNormEpsilon);
  // GPT-2 stores [in, out].
  const linear = (x: Value, name: string) => add(matMul(x, weights(`${name}.weight`)), weights(`${name}.bias`));
  const heads = (x: Value) => transpose(reshape(x, [batch, length, config.numHeads, headDim]), [0, 2, 1, 3]);
  const presents: KeyValues[] = [];
  let x = add(embeddings, gather(weights("transformer.wpe.weight"), inputs.positionIds));
  for (let layer = 0; layer < config.numLayers; layer++) {
    const block = `transformer.h.${layer}`;
    const qkv = linear(norm(x, `${block}.ln_1`), `${block}.attn.c_attn`);
    const [q, k, v] = split(qkv, [width, width, width], -1).map(heads) as [Value, Value, Value];
    presents.push({ keys: k, values: v });
    const scale = (config.scaleAttention ? 1 / Math.sqrt(headDim) : 1) / (config.scaleAttentionByLayer ? layer + 1 : 1);
    const attended = attention(q, { keys: k, values: v }, mask, scale, options.past?.[layer]);
    x = add(x, linear(attended, `${block}.attn.c_proj`));
    const inner = activate(linear(norm(x, `${block}.ln_2`), `${block}.mlp.c_fc`), config.activation);
    x = add(x, linear(inner, `${block}.mlp.c_proj`));
  }
  return { hidden: norm(x, "transformer.ln_f"), presents, embeddings };
}

function llama(config: LlamaConfig, weights: Weights, inputs: TransformerInputs, options: TransformerOptions) {
  const embeddings = embed(config, weights, inputs, options);
  const [batch = 1, length = 1] = embeddings.shape;
  const mask = attentionBias(inputs.attentionMask, length);
  const { cosines, sines } = rotaryTables(config, config.headDim, inputs.positionIds);
  const { headDim, numHeads, numKeyValueHeads } = config;
  const norm = (x: Value, name: string) => rmsNormalization(x, weights(`${name}.weight`), config.rmsNormEpsilon);
  const linear = (x: Value, name: string, bias: boolean) => {
    const y = product(x, weights(`${name}.weight`));
    return bias ? add(y, weights(`${name}.bias`)) : y;
  };
  const presents: KeyValues[] = [];
  let x = embeddings;
  for (let layer = 0; layer < config.numLayers; layer++) {
    const block = `model.layers.${layer}`;
    const attentionInput = norm(x, `${block}.input_layernorm`);
    const project = (name: "q" | "k" | "v", heads: number) => {
      const y = linear(attentionInput, `${block}.self_attn.${name}_proj`, config.qkvBias);
      const perHead = reshape(y, [batch, length, heads, headDim]);
      const normed = config.qkNorm && name !== "v" ? norm(perHead, `${block}.self_attn.${name}_norm`) : perHead;
      return transpose(normed, [0, 2, 1, 3]);
    };
    const q = rotaryEmbedding(project("q", numHeads), cosines, sines);
    const k = rotaryEmbedding(project("k", numKeyValueHeads), cosines, sines);
    const v = project("v", numKeyValueHeads);
    presents.push({ keys: k, values: v });
    const attended = attention(q, { keys: k, values: v }, mask, 1 / Math.sqrt(headDim), options.past?.[layer]);
    x = add(x, linear(attended, `${block}.self_attn.o_proj`, config.outputBias));
    const mlpInput = norm(x, `${block}.post_attention_layernorm`);
    const gate = silu(linear(mlpInput, `${block}.mlp.gate_proj`, config.mlpBias));
    const up = linear(mlpInput, `${block}.mlp.up_proj`, config.mlpBias);
    x = add(x, linear(mul(gate, up), `${block}.mlp.down_proj`, config.mlpBias));
  }
  return { hidden: norm(x, "model.norm"), presents, embeddings };
}

function neox(config: NeoxConfig, weights: Weights, inputs: TransformerInputs, options: TransformerOptions) {
  const embeddings = embed(config, weights, inputs, options);
  const [batch = 1, length = 1] = embeddings.shape;
  const mask = attentionBias(inputs.attentionMask, length);
  const { headDim, numHeads, rotaryDim } = config;
  const { cosines, sines } = rotaryTables(config, rotaryDim, inputs.positionIds);
  const norm = (x: Value, name: string) =>
    layerNormalization(x, weights(`${name}.weight`), weights(`${name}.bias`), config.layerNormEpsilon);
  const linear = (x: Value, name: string, bias = true) => {
    const y = product(x, weights(`${name}.weight`));
    return bias ? add(y, weights(`${name}.bias`)) : y;
  };
  const rotate = (x: Value) =>
    rotaryDim === headDim
      ? rotaryEmbedding(x, cosines, sines)
      : concat([rotaryEmbedding(slice(x, -1, 0, rotaryDim), cosines, sines), slice(x, -1, rotaryDim)], -1);
  const presents: KeyValues[] = [];
  let x = embeddings;
  for (let layer = 0; layer < config.numLayers; layer++) {
    const block = `gpt_neox.layers.${layer}`;
    const qkv = linear(norm(x, `${block}.input_layernorm`), `${block}.attention.query_key_value`, config.attentionBias);
    // The rows of the fused projection go head by head: q, k and v of the first, of the second, ...
    const heads = transpose(reshape(qkv, [batch, length, numHeads, 3 * headDim]), [0, 2, 1, 3]);
    const [q, k, v] = split(heads, [headDim, headDim, headDim], -1) as [Value, Value, Value];
    const fresh = { keys: rotate(k), values: v };
    presents.push(fresh);
    const attended = attention(rotate(q), fresh, mask, 1 / Math.sqrt(headDim), options.past?.[layer]);
    const afterAttention = add(x, linear(attended, `${block}.attention.dense`, config.attentionBias));
    const mlpInput = norm(config.parallelResidual ? x : afterAttention, `${block}.post_attention_layernorm`);
    const inner = activate(linear(mlpInput, `${block}.mlp.dense_h_to_4h`), config.activation);
    x = add(afterAttention, linear(inner, `${block}.mlp.dense_4h_to_h`));
  }
  return { hidden: norm(x, "gpt_neox.final_layer_norm"), presents, embeddings };
}

function embed(
  config: ModelConfig,
  weights: Weights,
  { inputIds }: TransformerInputs,
  options: TransformerOptions,
): Value {
  const table = weights(embeddingName(config));
  return gather(options.detachEmbedding ? stopGradient(table) : table, inputIds);
}

/** x W^T for W [out, in], where x is [.., in]. */
export function product(x: Value, weight: Value): Value {
  const [outSize = 1, inSize = 1] = weight.shape;
  const rows = sizeOf(x.shape) / inSize;
  if (rows > fewRows || outSize * inSize < largeWeight) return fusedMatMul(x, weight, { transB: true });
  // As (W x^T)^T: the engine repacks its right operand at every run, and here that is the small one.
  const columns = fusedMatMul(weight, reshape(x, [rows, inSize]), { transB: true });
  return reshape(transpose(columns), [...x.shape.slice(0, -1), outSize]);
}

/**
 * Measured on two cores: below so few rows and above such a size, repacking a weight costs more than the product with it
 * (a step of generation is two to three times faster in the head of a 135M model; in a model of 1M it would be slower).
 */
const fewRows = 32;
const largeWeight = 2 ** 18;

/** What attention may not see gets this added to its score: large enough to vanish in softmax, small enough to stay finite. */
const never = -1e30;

/** Two biases to add to scores: over the T new tokens [B, 1, 1, T, T], and over the P cached ones [B, 1, 1, 1, P]. */
interface AttentionBias {
  readonly fresh: Value;
  readonly past: Value | undefined;
}

function attentionBias(attentionMask: Value, length: number): AttentionBias {
  const [batch = 1, total = length] = attentionMask.shape;
  const slots = total - length;
  const bias = (allowed: Value) => mul(sub(allowed, 1), -never);
  const fresh = reshape(slice(attentionMask, 1, slots), [batch, 1, 1, 1, length]);
  const causal = trilu(expand(attentionMask.graph.constant(1), [length, length]), { upper: false });
  return {
    fresh: bias(length === 1 ? fresh : mul(fresh, causal)),
    past: slots === 0 ? undefined : bias(reshape(slice(attentionMask, 1, 0, slots), [batch, 1, 1, 1, slots])),
  };
}

/**
 * Attention of queries [B, H, T, D] over keys and values of KH heads, each serving H / KH query heads: the queries of a
 * group are stacked as rows, so that keys and values are never repeated. Returns [B, T, H * D].
 */
function attention(q: Value, fresh: KeyValues, bias: AttentionBias, scale: number, past: KeyValues | undefined): Value {
  const [batch = 1, numHeads = 1, length = 1, headDim = 1] = q.shape;
  const groups = fresh.keys.shape[1] ?? 1;
  const perGroup = numHeads / groups;
  const rows = reshape(q, [batch, groups, perGroup * length, headDim]);
  const score = (keys: Value, mask: Value) => {
    const slots = keys.shape[2] ?? 1;
    const scores = fusedMatMul(rows, keys, { transB: true, alpha: scale });
    return add(reshape(scores, [batch, groups, perGroup, length, slots]), mask);
  };
  const weigh = (weights: Value, values: Value) =>
    matMul(reshape(weights, [batch, groups, perGroup * length, values.shape[2] ?? 1]), values);
  const scores = score(fresh.keys, bias.fresh);
  let attended: Value;
  if (past && bias.past) {
    const slots = past.keys.shape[2] ?? 1;
    const all = softmax(concat([score(past.keys, bias.past), scores], -1));
    attended = add(weigh(slice(all, -1, 0, slots), past.values), weigh(slice(all, -1, slots), fresh.values));
  } else {
    attended = weigh(softmax(scores), fresh.values);
  }
  const heads = transpose(reshape(attended, [batch, numHeads, length, headDim]), [0, 2, 1, 3]);
  return reshape(heads, [batch, length, numHeads * headDim]);
}

/** cos and sin of position times frequency, [B, T, rotaryDim / 2]. */
function rotaryTables(
  config: LlamaConfig | NeoxConfig,
  rotaryDim: number,
  positionIds: Value,
): { cosines: Value; sines: Value } {
  const [batch = 1, length = 1] = positionIds.shape;
  const frequencies = rotaryFrequencies(config, rotaryDim);
  const table = positionIds.graph.constant(float32([frequencies.length], frequencies));
  const angles = mul(reshape(cast(positionIds, "float32"), [batch, length, 1]), table);
  return { cosines: cos(angles), sines: sin(angles) };
}

/** Radians per position of each pair of the rotated dimensions: theta^(-2i/rotaryDim), stretched as the configuration says. */
export function rotaryFrequencies(
  { ropeTheta, ropeScaling }: Pick<LlamaConfig, "ropeTheta" | "ropeScaling">,
  rotaryDim: number,
): Float32Array {
  return Float32Array.from({ length: rotaryDim / 2 }, (_, i) => {
    const frequency = ropeTheta ** ((-2 * i) / rotaryDim);
    if (ropeScaling === undefined) return frequency;
    if (ropeScaling.type === "linear") return frequency / ropeScaling.factor;
    // Llama 3.1: long waves are stretched, short ones are not, and those between are blended.
    const { factor, lowFreqFactor, highFreqFactor, originalMaxPositions } = ropeScaling;
    const turns = (originalMaxPositions * frequency) / (2 * Math.PI);
    const smooth = Math.min(1, Math.max(0, (turns - lowFreqFactor) / (highFreqFactor - lowFreqFactor)));
    return (smooth + (1 - smooth) / factor) * frequency;
  });
}

function activate(x: Value, kind: Gpt2Config["activation"]): Value {
  if (kind === "relu") return relu(x);
  if (kind === "silu") return silu(x);
  return gelu(x, kind === "gelu_tanh" ? "tanh" : "none");
}
