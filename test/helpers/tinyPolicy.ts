import { parseConfig } from "../../src/models/config.js";
import { loadModel } from "../../src/models/load.js";
import { type CausalLM, createModel } from "../../src/models/model.js";
import { parameterShapes } from "../../src/nn/config.js";
import { stream } from "../../src/random.js";
import { float32, type Tensor } from "../../src/tensor.js";

/** A policy with the tokenizer of tiny-reviews and a handful of random weights: everything a trainer does in milliseconds. */
export async function tinyPolicy(seed = 0, { maxPositions = 64 } = {}): Promise<CausalLM> {
  const { files, generation } = await loadModel("tiny-reviews");
  const config = {
    ...files.config,
    hidden_size: 16,
    intermediate_size: 24,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    num_key_value_heads: 1,
    head_dim: 8,
    max_position_embeddings: maxPositions,
    eos_token_id: generation.eosTokenIds[0],
  };
  const random = stream(seed, "tiny policy");
  const params = new Map<string, Tensor<"float32">>();
  for (const [name, shape] of parameterShapes(parseConfig(config, "tiny").config)) {
    const length = shape.reduce((size, dim) => size * dim, 1);
    const value = name.includes("norm") ? () => 1 : () => 0.3 * random.normal();
    params.set(name, float32(shape, Float32Array.from({ length }, value)));
  }
  return createModel({ name: "tiny", files: { ...files, config }, params });
}

/** Scores a response by how many of its tokens have an even id: something a tiny policy can learn. */
export const evenTokens = ({ responseIds }: { readonly responseIds: readonly (readonly number[])[] }): number[] =>
  responseIds.map((ids) => ids.filter((id) => id % 2 === 0).length / ids.length - 0.5);
