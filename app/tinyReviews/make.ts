import type { Engine } from "../../src/engine/engine.js";
import { parseConfig } from "../../src/models/config.js";
import { type CausalLM, createModel } from "../../src/models/model.js";
import { createTokenizer } from "../../src/models/tokenizer.js";
import type { LlamaConfig } from "../../src/nn/config.js";
import { tokenizerJson, trainBpe } from "./bpe.js";
import { openings, review } from "./corpus.js";
import { type Training, train } from "./train.js";

/** Everything that decides the model, bit by bit, on a given machine. */
export interface Recipe {
  /** Of the corpus, the initial parameters and the order of the batches. */
  readonly seed: number;
  /** Reviews in the corpus; the tokenizer learns from the first tenth of them. */
  readonly reviews: number;
  readonly prompts: number;
  /** At most so many tokens; fewer if whole words are reached before. */
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly training: Omit<Training, "seed">;
}

/** The recipe of the embedded model. */
export const recipe: Recipe = {
  seed: 1,
  reviews: 150_000,
  prompts: 2000,
  // Enough for every word of the corpus to be one token: a policy that training pushes around still spells.
  vocabSize: 2304,
  hiddenSize: 128,
  intermediateSize: 512,
  numLayers: 4,
  numHeads: 4,
  training: { steps: 3000, batchSize: 64, learningRate: 3e-3, warmupSteps: 100 },
};

/** The ids of these tokens are their places here. */
const specialTokens = ["<s>", "</s>", "<pad>"] as const;
const [bosToken, eosToken, padToken] = specialTokens;
const [bosTokenId, eosTokenId, padTokenId] = [0, 1, 2];
const maxPositions = 512;

/** What {@link make} makes. */
export interface TinyReviews {
  readonly model: CausalLM;
  /** Openings of reviews, all different. */
  readonly prompts: readonly string[];
}

/** Writes the corpus, learns the tokenizer, trains the model. The same recipe gives the same bytes on the same machine. */
export async function make(
  engine: Engine,
  { seed, reviews, prompts, training, ...shape }: Recipe,
  { onStep }: { onStep?: (step: number, loss: number) => void } = {},
): Promise<TinyReviews> {
  const corpus = Array.from({ length: reviews }, (_, number) => review(seed, number).text);
  const bpe = trainBpe(corpus.slice(0, Math.ceil(reviews / 10)), shape.vocabSize, specialTokens);
  const tokenizer = JSON.parse(JSON.stringify(tokenizerJson(bpe, bosToken)));
  const tokenizerConfig = {
    tokenizer_class: "PreTrainedTokenizerFast",
    bos_token: bosToken,
    eos_token: eosToken,
    pad_token: padToken,
    padding_side: "left",
    model_max_length: maxPositions,
    clean_up_tokenization_spaces: false,
  };
  const config = {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    vocab_size: bpe.pieces.length,
    hidden_size: shape.hiddenSize,
    intermediate_size: shape.intermediateSize,
    num_hidden_layers: shape.numLayers,
    num_attention_heads: shape.numHeads,
    num_key_value_heads: shape.numHeads,
    max_position_embeddings: maxPositions,
    hidden_act: "silu",
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    attention_bias: false,
    mlp_bias: false,
    tie_word_embeddings: true,
    bos_token_id: bosTokenId,
    eos_token_id: eosTokenId,
    pad_token_id: padTokenId,
  };
  const { encode } = createTokenizer(tokenizer, tokenizerConfig, "the tokenizer of tiny-reviews");
  const texts = corpus.map((text) => [...encode(text), eosTokenId]);
  const parsed = parseConfig(config, "the configuration of tiny-reviews").config as LlamaConfig;
  const params = await train(engine, parsed, { seed, ...training }, texts, {
    padTokenId,
    ...(onStep === undefined ? {} : { onStep }),
  });
  const generationConfig = {
    bos_token_id: bosTokenId,
    eos_token_id: eosTokenId,
    pad_token_id: padTokenId,
    do_sample: true,
    max_new_tokens: 24,
  };
  const model = createModel({
    name: "tiny-reviews",
    files: { config, generationConfig, tokenizer, tokenizerConfig },
    params,
  });
  return { model, prompts: openings(seed, prompts) };
}
