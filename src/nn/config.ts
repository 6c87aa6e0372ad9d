/** The sizes that every family has. */
interface DecoderSizes {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly numLayers: number;
  readonly numHeads: number;
  /** Longest sequence the model was made for, or has positions for. */
  readonly maxPositions: number;
  readonly intermediateSize: number;
}

/** GPT-2: learned positions, layer normalisation, one fused query-key-value projection, tied head. */
export interface Gpt2Config extends DecoderSizes {
  readonly modelType: "gpt2";
  readonly layerNormEpsilon: number;
  readonly activation: "gelu" | "gelu_tanh" | "relu" | "silu";
  /** Multiply attention scores by `1 / sqrt(headDim)`. */
  readonly scaleAttention: boolean;
  /** Further divide the scores of layer i by i + 1. */
  readonly scaleAttentionByLayer: boolean;
  readonly tieWordEmbeddings: boolean;
}

/** How rotary frequencies are stretched beyond the context a model was trained on. */
export type RopeScaling =
  | { readonly type: "linear"; readonly factor: number }
  | {
      readonly type: "llama3";
      readonly factor: number;
      readonly lowFreqFactor: number;
      readonly highFreqFactor: number;
      readonly originalMaxPositions: number;
    };

/** The Llama family: rotary positions, RMS normalisation, gated MLP, grouped-query attention. */
export interface LlamaConfig extends DecoderSizes {
  readonly modelType: "llama" | "mistral" | "qwen2" | "qwen3";
  /** Divides `numHeads`; fewer means grouped-query attention. */
  readonly numKeyValueHeads: number;
  readonly headDim: number;
  readonly rmsNormEpsilon: number;
  readonly ropeTheta: number;
  readonly ropeScaling: RopeScaling | undefined;
  /** Query, key and value projections have a bias. */
  readonly qkvBias: boolean;
  /** The attention's output projection has a bias. */
  readonly outputBias: boolean;
  readonly mlpBias: boolean;
  /** Queries and keys are RMS-normalised per head before the rotation (Qwen 3). */
  readonly qkNorm: boolean;
  readonly tieWordEmbeddings: boolean;
}

/** GPT-NeoX (Pythia): rotary positions on part of each head, attention and MLP side by side, an untied head. */
export interface NeoxConfig extends DecoderSizes {
  readonly modelType: "gpt_neox";
  /** As many as `numHeads`. */
  readonly numKeyValueHeads: number;
  readonly headDim: number;
  /** Dimensions of each head that are rotated, the first ones; even. */
  readonly rotaryDim: number;
  readonly ropeTheta: number;
  readonly ropeScaling: RopeScaling | undefined;
  readonly layerNormEpsilon: number;
  readonly activation: Gpt2Config["activation"];
  /** The projections of attention have a bias. */
  readonly attentionBias: boolean;
  /** Attention and MLP both read the layer's input; otherwise one after the other. */
  readonly parallelResidual: boolean;
  readonly tieWordEmbeddings: boolean;
}

/** The shape of a transformer: what its weights are called, and how they are used. */
export type ModelConfig = Gpt2Config | LlamaConfig | NeoxConfig;

/** What stands on top of the transformer: a language model's head, or one score per token (a reward model). */
export type ModelKind = "causal-lm" | "reward";

/**
 * Every parameter of a model by its Hugging Face name, with its shape.
 * The tied head of a causal model is not listed: it is the embedding.
 */
export function parameterShapes(config: ModelConfig, kind: ModelKind = "causal-lm"): Map<string, readonly number[]> {
  const shapes = bodyShapes(config);
  if (kind === "reward") shapes.set("score.weight", [1, config.hiddenSize]);
  else if (!config.tieWordEmbeddings) shapes.set(headName(config), [config.vocabSize, config.hiddenSize]);
  return shapes;
}

/** The name of the parameter that maps hidden states to logits. */
export function headName(config: ModelConfig): string {
  if (config.tieWordEmbeddings) return embeddingName(config);
  return config.modelType === "gpt_neox" ? "embed_out.weight" : "lm_head.weight";
}

/** The name of the token embedding `[V, D]`. */
export function embeddingName(config: ModelConfig): string {
  const names = { gpt2: "wte.weight", gpt_neox: "embed_in.weight" };
  const { modelType } = config;
  return (
    bodyPrefix(config) + (modelType === "gpt2" || modelType === "gpt_neox" ? names[modelType] : "embed_tokens.weight")
  );
}

/** What the names of all parameters below the head begin with. */
export function bodyPrefix(config: ModelConfig): string {
  const { modelType } = config;
  return modelType === "gpt2" ? "transformer." : modelType === "gpt_neox" ? "gpt_neox." : "model.";
}

/** Names and shapes of the value head, as TRL has them. */
export function valueHeadShapes(config: ModelConfig): Map<string, readonly number[]> {
  return new Map([
    ["v_head.summary.weight", [1, config.hiddenSize]],
    ["v_head.summary.bias", [1]],
  ]);
}

function bodyShapes(config: ModelConfig): Map<string, readonly number[]> {
  if (config.modelType === "gpt2") return gpt2Shapes(config);
  return config.modelType === "gpt_neox" ? neoxShapes(config) : llamaShapes(config);
}

function gpt2Shapes(config: Gpt2Config): Map<string, readonly number[]> {
  const { hiddenSize: d, intermediateSize: m } = config;
  const shapes = new Map<string, readonly number[]>([
    ["transformer.wte.weight", [config.vocabSize, d]],
    ["transformer.wpe.weight", [config.maxPositions, d]],
  ]);
  for (let layer = 0; layer < config.numLayers; layer++) {
    const h = `transformer.h.${layer}.`;
    shapes.set(`${h}ln_1.weight`, [d]).set(`${h}ln_1.bias`, [d]);
    shapes.set(`${h}attn.c_attn.weight`, [d, 3 * d]).set(`${h}attn.c_attn.bias`, [3 * d]);
    shapes.set(`${h}attn.c_proj.weight`, [d, d]).set(`${h}attn.c_proj.bias`, [d]);
    shapes.set(`${h}ln_2.weight`, [d]).set(`${h}ln_2.bias`, [d]);
    shapes.set(`${h}mlp.c_fc.weight`, [d, m]).set(`${h}mlp.c_fc.bias`, [m]);
    shapes.set(`${h}mlp.c_proj.weight`, [m, d]).set(`${h}mlp.c_proj.bias`, [d]);
  }
  return shapes.set("transformer.ln_f.weight", [d]).set("transformer.ln_f.bias", [d]);
}

function llamaShapes(config: LlamaConfig): Map<string, readonly number[]> {
  const { hiddenSize: d, intermediateSize: m, headDim } = config;
  const q = config.numHeads * headDim;
  const kv = config.numKeyValueHeads * headDim;
  const shapes = new Map<string, readonly number[]>([["model.embed_tokens.weight", [config.vocabSize, d]]]);
  const linear = (name: string, output: number, input: number, bias: boolean) => {
    shapes.set(`${name}.weight`, [output, input]);
    if (bias) shapes.set(`${name}.bias`, [output]);
  };
  for (let layer = 0; layer < config.numLayers; layer++) {
    const l = `model.layers.${layer}.`;
    linear(`${l}self_attn.q_proj`, q, d, config.qkvBias);
    linear(`${l}self_attn.k_proj`, kv, d, config.qkvBias);
    linear(`${l}self_attn.v_proj`, kv, d, config.qkvBias);
    linear(`${l}self_attn.o_proj`, d, q, config.outputBias);
    if (config.qkNorm)
      shapes.set(`${l}self_attn.q_norm.weight`, [headDim]).set(`${l}self_attn.k_norm.weight`, [headDim]);
    linear(`${l}mlp.gate_proj`, m, d, config.mlpBias);
    linear(`${l}mlp.up_proj`, m, d, config.mlpBias);
    linear(`${l}mlp.down_proj`, d, m, config.mlpBias);
    shapes.set(`${l}input_layernorm.weight`, [d]).set(`${l}post_attention_layernorm.weight`, [d]);
  }
  return shapes.set("model.norm.weight", [d]);
}

function neoxShapes(config: NeoxConfig): Map<string, readonly number[]> {
  const { hiddenSize: d, intermediateSize: m } = config;
  const shapes = new Map<string, readonly number[]>([["gpt_neox.embed_in.weight", [config.vocabSize, d]]]);
  const linear = (name: string, output: number, input: number, bias = true) => {
    shapes.set(`${name}.weight`, [output, input]);
    if (bias) shapes.set(`${name}.bias`, [output]);
  };
  const norm = (name: string) => shapes.set(`${name}.weight`, [d]).set(`${name}.bias`, [d]);
  for (let layer = 0; layer < config.numLayers; layer++) {
    const l = `gpt_neox.layers.${layer}.`;
    norm(`${l}input_layernorm`);
    norm(`${l}post_attention_layernorm`);
    linear(`${l}attention.query_key_value`, 3 * d, d, config.attentionBias);
    linear(`${l}attention.dense`, d, d, config.attentionBias);
    linear(`${l}mlp.dense_h_to_4h`, m, d);
    linear(`${l}mlp.dense_4h_to_h`, d, m);
  }
  return norm("gpt_neox.final_layer_norm");
}
