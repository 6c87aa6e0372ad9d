import { headName, parameterShapes } from "../nn/config.js";
import { rotaryFrequencies } from "../nn/transformer.js";
import { float32, type Tensor } from "../tensor.js";
import { parseConfig } from "./config.js";
import type { GgufFile, GgufValue } from "./gguf.js";

/** A GGUF file in the terms of a Hugging Face folder. */
export interface GgufModel {
  readonly config: Readonly<Record<string, unknown>>;
  readonly generationConfig: Readonly<Record<string, unknown>>;
  readonly tokenizer: Readonly<Record<string, unknown>> | undefined;
  readonly tokenizerConfig: Readonly<Record<string, unknown>>;
}

/**
 * Says in Hugging Face's terms what a GGUF file's metadata says: config.json, tokenizer.json, tokenizer_config.json.
 * @throws Error naming the file and the metadata key that is missing or of a kind that is not known.
 */
export async function describeGguf(gguf: GgufFile): Promise<GgufModel> {
  const metadata = new Metadata(gguf);
  const table = gguf.shapes.has(ropeTable) ? (await gguf.read(ropeTable)).data : undefined;
  const config = configOf(metadata, gguf, table);
  const tokens = metadata.optionalStrings("tokenizer.ggml.tokens");
  const id = (key: string) => {
    const value = metadata.optionalNumber(`tokenizer.ggml.${key}_token_id`);
    return value === undefined || !tokens || value >= tokens.length ? undefined : value;
  };
  const [bos, eos, pad, unk] = [id("bos"), id("eos"), id("padding"), id("unknown")];
  const eot = id("eot");
  const text = (tokenId: number | undefined) => (tokenId === undefined ? undefined : tokens?.[tokenId]);
  const ids = definedOnly({ bos_token_id: bos, eos_token_id: eos, pad_token_id: pad ?? eos });
  return {
    config: { ...config, ...ids },
    generationConfig: {
      ...ids,
      ...(eos !== undefined && eot !== undefined && eot !== eos ? { eos_token_id: [eos, eot] } : {}),
    },
    tokenizer: tokens && tokenizerOf(metadata, gguf, tokens),
    tokenizerConfig: definedOnly({
      tokenizer_class: "PreTrainedTokenizerFast",
      bos_token: text(bos),
      eos_token: text(eos),
      pad_token: text(pad ?? eos),
      unk_token: text(unk),
      chat_template: metadata.optionalString("tokenizer.chat_template"),
      clean_up_tokenization_spaces: false,
      model_max_length: config.max_position_embeddings ?? config.n_positions,
    }),
  };
}

/**
 * Reads the tensors of a GGUF file under Hugging Face names and in its layouts: query and key rows of a Llama are put
 * back from the interleaved order that llama.cpp rotates, GPT-2's matrices are `[in, out]`.
 * @throws Error naming the file and a tensor that is missing or has another shape than the metadata says.
 */
export async function readGgufParams(gguf: GgufFile, signal?: AbortSignal): Promise<Map<string, Tensor<"float32">>> {
  const { config: json } = await describeGguf(gguf);
  const { config } = parseConfig(json, gguf.file);
  const rename = config.modelType === "gpt2" ? gpt2Name : llamaName;
  const permuted = architectureOf(gguf) === "llama" && config.modelType !== "gpt2";
  const params = new Map<string, Tensor<"float32">>();
  for (const [name, shape] of parameterShapes(config)) {
    signal?.throwIfAborted();
    const stored = name === headName(config) && !gguf.shapes.has(rename(name)) ? "token_embd.weight" : rename(name);
    if (!gguf.shapes.has(stored)) {
      throw new Error(
        `${gguf.file}: tensor "${stored}" (${name}) is missing. The file is incomplete or of another architecture: fetch it again.`,
      );
    }
    let value = await gguf.read(stored);
    if (config.modelType === "gpt2") {
      if (isGpt2Matrix(name)) value = transposed(value);
    } else if (permuted && name.includes(".q_proj.")) value = unpermuted(value, config.numHeads);
    else if (permuted && name.includes(".k_proj.")) value = unpermuted(value, config.numKeyValueHeads);
    if (value.shape.join() !== shape.join()) {
      throw new Error(
        `${gguf.file}: tensor "${stored}" has shape [${value.shape.join(", ")}], the metadata asks for [${shape.join(", ")}]. Fetch the file again.`,
      );
    }
    params.set(name, value);
  }
  return params;
}

/** Typed access to metadata; errors name the file and the key. */
class Metadata {
  constructor(readonly gguf: GgufFile) {}

  fail(key: string, expected: string): never {
    const value = this.gguf.metadata.get(key);
    const shown = value === undefined ? "missing" : JSON.stringify(value)?.slice(0, 60);
    throw new Error(
      `${this.gguf.file}: metadata "${key}" is ${shown}; expected ${expected}. Fetch the file again, or another one of this model.`,
    );
  }

  optionalNumber(key: string): number | undefined {
    const value = this.gguf.metadata.get(key);
    if (typeof value === "number") return shortest(value);
    return value === undefined ? undefined : this.fail(key, "a number");
  }

  number(key: string): number {
    return this.optionalNumber(key) ?? this.fail(key, "a number");
  }

  /** A number that some files give once per layer. */
  sameForAllLayers(key: string): number | undefined {
    const value = this.gguf.metadata.get(key);
    if (!Array.isArray(value)) return this.optionalNumber(key);
    const [first] = value;
    if (typeof first !== "number" || value.some((other) => other !== first))
      this.fail(key, "the same number for every layer");
    return first;
  }

  optionalString(key: string): string | undefined {
    const value = this.gguf.metadata.get(key);
    if (value === undefined || typeof value === "string") return value;
    return this.fail(key, "text");
  }

  optionalStrings(key: string): readonly string[] | undefined {
    const value = this.gguf.metadata.get(key);
    if (value === undefined) return undefined;
    const isText = (one: GgufValue): one is string => typeof one === "string";
    if (Array.isArray(value) && value.every(isText)) return value;
    return this.fail(key, "a list of texts");
  }

  optionalNumbers(key: string): readonly number[] | undefined {
    const value = this.gguf.metadata.get(key);
    if (value === undefined) return undefined;
    const isNumber = (one: GgufValue): one is number => typeof one === "number";
    if (Array.isArray(value) && value.every(isNumber)) return value;
    return this.fail(key, "a list of numbers");
  }
}

/** A float32 as it was meant: 1e-5, not 0.000009999999747378752. */
function shortest(value: number): number {
  const short = Number(value.toPrecision(7));
  return Math.fround(short) === value ? short : value;
}

function architectureOf(gguf: GgufFile): string {
  const name = gguf.metadata.get("general.architecture");
  if (typeof name !== "string")
    throw new Error(
      `${gguf.file}: metadata "general.architecture" is missing: this GGUF file holds no language model.`,
    );
  return name;
}

function configOf(metadata: Metadata, gguf: GgufFile, ropeFactors: Float32Array | undefined): Record<string, unknown> {
  const arch = architectureOf(gguf);
  const number = (key: string) => metadata.number(`${arch}.${key}`);
  const optional = (key: string) => metadata.optionalNumber(`${arch}.${key}`);
  const vocabSize = gguf.shapes.get("token_embd.weight")?.[0];
  if (arch === "gpt2") {
    return definedOnly({
      architectures: ["GPT2LMHeadModel"],
      model_type: "gpt2",
      vocab_size: vocabSize,
      n_embd: number("embedding_length"),
      n_layer: number("block_count"),
      n_head: number("attention.head_count"),
      n_positions: number("context_length"),
      n_inner: optional("feed_forward_length"),
      layer_norm_epsilon: optional("attention.layer_norm_epsilon"),
      // llama.cpp writes the head out when it equals the embedding, too; a separate tensor is a separate head.
      tie_word_embeddings: !gguf.shapes.has("output.weight"),
    });
  }
  if (arch !== "llama" && arch !== "qwen2" && arch !== "qwen3") {
    throw new Error(`${gguf.file}: architecture "${arch}" is not supported; llama, qwen2, qwen3 and gpt2 are.`);
  }
  if ((optional("expert_count") ?? 0) > 0)
    throw new Error(`${gguf.file}: mixture-of-experts models are not supported.`);
  const scaling = metadata.optionalString(`${arch}.rope.scaling.type`) ?? "none";
  if (scaling !== "none" && scaling !== "linear")
    throw new Error(`${gguf.file}: rope scaling "${scaling}" is not supported; none and linear are.`);
  const heads = metadata.sameForAllLayers(`${arch}.attention.head_count`) ?? number("attention.head_count");
  const bias = gguf.shapes.has("blk.0.attn_q.bias");
  const headDim =
    optional("attention.key_length") ?? optional("rope.dimension_count") ?? number("embedding_length") / heads;
  const theta = optional("rope.freq_base") ?? 10000;
  return definedOnly({
    architectures: [{ llama: "LlamaForCausalLM", qwen2: "Qwen2ForCausalLM", qwen3: "Qwen3ForCausalLM" }[arch]],
    model_type: arch,
    vocab_size: vocabSize,
    hidden_size: number("embedding_length"),
    num_hidden_layers: number("block_count"),
    num_attention_heads: heads,
    num_key_value_heads: metadata.sameForAllLayers(`${arch}.attention.head_count_kv`),
    head_dim: headDim,
    intermediate_size: number("feed_forward_length"),
    max_position_embeddings: number("context_length"),
    rms_norm_eps: number("attention.layer_norm_rms_epsilon"),
    hidden_act: "silu",
    rope_theta: theta,
    rope_scaling: ropeFactors
      ? llama3Scaling(ropeFactors, headDim, theta, gguf.file)
      : scaling === "linear"
        ? { rope_type: "linear", factor: number("rope.scaling.factor") }
        : undefined,
    attention_bias: arch === "llama" ? bias : undefined,
    tie_word_embeddings: !gguf.shapes.has("output.weight"),
  });
}

/** Where llama.cpp keeps, for each pair of dimensions, the number that its rotary frequency is divided by. */
const ropeTable = "rope_freqs.weight";

/**
 * The rope_scaling that such a table was made from: that of Llama 3.1 and later, whose only number that varies is the factor.
 * @throws Error for a table that is another one.
 */
function llama3Scaling(factors: Float32Array, headDim: number, theta: number, file: string): Record<string, unknown> {
  const scaling = {
    type: "llama3",
    factor: Math.max(...factors),
    lowFreqFactor: 1,
    highFreqFactor: 4,
    originalMaxPositions: 8192,
  } as const;
  const plain = rotaryFrequencies({ ropeTheta: theta, ropeScaling: undefined }, headDim);
  const stretched = rotaryFrequencies({ ropeTheta: theta, ropeScaling: scaling }, headDim);
  const same =
    factors.length === plain.length && factors.every((factor, i) => isClose(plain[i], (stretched[i] ?? 0) * factor));
  if (!same) {
    throw new Error(
      `${file}: its rotary frequencies are stretched by a table (${ropeTable}) other than Llama 3's, which is not supported. Load the model's Hugging Face folder instead.`,
    );
  }
  return {
    rope_type: "llama3",
    factor: scaling.factor,
    low_freq_factor: scaling.lowFreqFactor,
    high_freq_factor: scaling.highFreqFactor,
    original_max_position_embeddings: scaling.originalMaxPositions,
  };
}

function isClose(a: number | undefined, b: number): boolean {
  return a !== undefined && Math.abs(a - b) <= 1e-4 * Math.abs(a);
}

function llamaName(name: string): string {
  const whole = new Map([
    ["model.embed_tokens.weight", "token_embd.weight"],
    ["model.norm.weight", "output_norm.weight"],
    ["lm_head.weight", "output.weight"],
  ]).get(name);
  if (whole) return whole;
  return name
    .replace("model.layers.", "blk.")
    .replace("self_attn.q_proj", "attn_q")
    .replace("self_attn.k_proj", "attn_k")
    .replace("self_attn.v_proj", "attn_v")
    .replace("self_attn.o_proj", "attn_output")
    .replace("self_attn.q_norm", "attn_q_norm")
    .replace("self_attn.k_norm", "attn_k_norm")
    .replace("mlp.gate_proj", "ffn_gate")
    .replace("mlp.up_proj", "ffn_up")
    .replace("mlp.down_proj", "ffn_down")
    .replace("input_layernorm", "attn_norm")
    .replace("post_attention_layernorm", "ffn_norm");
}

function gpt2Name(name: string): string {
  return name
    .replace("transformer.wte.", "token_embd.")
    .replace("transformer.wpe.", "position_embd.")
    .replace("transformer.ln_f.", "output_norm.")
    .replace("lm_head.", "output.")
    .replace("transformer.h.", "blk.")
    .replace("attn.c_attn.", "attn_qkv.")
    .replace("attn.c_proj.", "attn_output.")
    .replace("mlp.c_fc.", "ffn_up.")
    .replace("mlp.c_proj.", "ffn_down.")
    .replace("ln_1.", "attn_norm.")
    .replace("ln_2.", "ffn_norm.");
}

function isGpt2Matrix(name: string): boolean {
  return /\.(c_attn|c_proj|c_fc)\.weight$/.test(name);
}

function transposed(value: Tensor<"float32">): Tensor<"float32"> {
  const [rows = 1, columns = 1] = value.shape;
  const out = new Float32Array(rows * columns);
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < columns; c++) out[c * rows + r] = value.data[r * columns + c] as number;
  return float32([columns, rows], out);
}

/**
 * Within each head, GGUF row 2i + p is row p * headDim/2 + i of the Hugging Face layout: llama.cpp rotates
 * neighbouring pairs, transformers the first half against the second.
 */
function unpermuted(value: Tensor<"float32">, heads: number): Tensor<"float32"> {
  const rows = value.shape[0] ?? 1;
  const width = value.data.length / rows;
  const headDim = rows / heads;
  const half = headDim / 2;
  const out = new Float32Array(value.data.length);
  for (let row = 0; row < rows; row++) {
    const within = row % headDim;
    const from = row - within + (within < half ? 2 * within : 2 * (within - half) + 1);
    out.set(value.data.subarray(from * width, (from + 1) * width), row * width);
  }
  return float32(value.shape, out);
}

/** GPT-2's split of text into words, as tokenizer.json spells it for the byte-level pre-tokenizers that change it. */
const llama3Words =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const qwen2Words = llama3Words.replace("{1,3}", "");

const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
const digitsThenByteLevel = {
  type: "Sequence",
  pretokenizers: [{ type: "Digits", individual_digits: true }, byteLevel],
};
const splitThenByteLevel = (regex: string) => ({
  type: "Sequence",
  pretokenizers: [
    { type: "Split", pattern: { Regex: regex }, behavior: "Isolated", invert: false },
    { ...byteLevel, use_regex: false },
  ],
});

/** By `tokenizer.ggml.pre`. */
const preTokenizers: ReadonlyMap<string, object> = new Map<string, object>([
  ["gpt-2", byteLevel],
  ["gpt2", byteLevel],
  ["default", byteLevel],
  ["smollm", digitsThenByteLevel],
  ["starcoder", digitsThenByteLevel],
  ["refact", digitsThenByteLevel],
  ["command-r", digitsThenByteLevel],
  ["llama-bpe", splitThenByteLevel(llama3Words)],
  ["llama3", splitThenByteLevel(llama3Words)],
  ["qwen2", splitThenByteLevel(qwen2Words)],
]);

/** `tokenizer.ggml.token_type` of a control token, a token added by its user, and a single byte. */
const controlToken = 3;
const userToken = 4;

function tokenizerOf(metadata: Metadata, gguf: GgufFile, tokens: readonly string[]): Record<string, unknown> {
  const model = metadata.optionalString("tokenizer.ggml.model");
  const types = metadata.optionalNumbers("tokenizer.ggml.token_type") ?? [];
  const added = tokens.flatMap((content, id) => {
    const type = types[id];
    if ((type !== controlToken && type !== userToken) || content === "") return [];
    const special = type === controlToken;
    return [{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special }];
  });
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  const common = { version: "1.0", truncation: null, padding: null, added_tokens: added };
  if (model === "gpt2") {
    const pre = metadata.optionalString("tokenizer.ggml.pre") ?? "gpt-2";
    const preTokenizer = preTokenizers.get(pre);
    if (!preTokenizer) {
      throw new Error(
        `${gguf.file}: pre-tokenizer "${pre}" is not known (${[...preTokenizers.keys()].join(", ")} are). Load the model's Hugging Face folder instead.`,
      );
    }
    return {
      ...common,
      normalizer: null,
      pre_tokenizer: preTokenizer,
      post_processor: addedAtStart(metadata, tokens),
      decoder: { ...byteLevel, add_prefix_space: true },
      model: {
        ...bpe,
        vocab,
        merges:
          metadata.optionalStrings("tokenizer.ggml.merges") ??
          metadata.fail("tokenizer.ggml.merges", "a list of merges"),
      },
    };
  }
  if (model === "llama") {
    const prefix = gguf.metadata.get("tokenizer.ggml.add_space_prefix") !== false;
    return {
      ...common,
      normalizer: {
        type: "Sequence",
        normalizers: [
          ...(prefix ? [{ type: "Prepend", prepend: "▁" }] : []),
          { type: "Replace", pattern: { String: " " }, content: "▁" },
        ],
      },
      pre_tokenizer: null,
      post_processor: addedAtStart(metadata, tokens),
      decoder: {
        type: "Sequence",
        decoders: [
          { type: "Replace", pattern: { String: "▁" }, content: " " },
          { type: "ByteFallback" },
          { type: "Fuse" },
          ...(prefix ? [{ type: "Strip", content: " ", start: 1, stop: 0 }] : []),
        ],
      },
      model: {
        ...bpe,
        unk_token: tokens[metadata.optionalNumber("tokenizer.ggml.unknown_token_id") ?? 0],
        fuse_unk: true,
        byte_fallback: true,
        vocab,
        merges: mergesByScore(
          tokens,
          metadata.optionalNumbers("tokenizer.ggml.scores") ??
            metadata.fail("tokenizer.ggml.scores", "a list of scores"),
        ),
      },
    };
  }
  throw new Error(
    `${gguf.file}: tokenizer kind "${model}" is not supported; gpt2 and llama are. Load the model's Hugging Face folder instead.`,
  );
}

const bpe = {
  type: "BPE",
  dropout: null,
  unk_token: null,
  continuing_subword_prefix: null,
  end_of_word_suffix: null,
  fuse_unk: false,
  byte_fallback: false,
  ignore_merges: false,
};

/** The begin-of-text token, if the file says that it is put before every text. */
function addedAtStart(metadata: Metadata, tokens: readonly string[]): object | null {
  const bos = metadata.optionalNumber("tokenizer.ggml.bos_token_id");
  const kind = metadata.optionalString("tokenizer.ggml.model");
  const add = metadata.gguf.metadata.get("tokenizer.ggml.add_bos_token") ?? kind === "llama";
  const token = bos === undefined ? undefined : tokens[bos];
  if (add !== true || token === undefined) return null;
  return {
    type: "TemplateProcessing",
    single: [{ SpecialToken: { id: token, type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
    pair: [
      { SpecialToken: { id: token, type_id: 0 } },
      { Sequence: { id: "A", type_id: 0 } },
      { Sequence: { id: "B", type_id: 1 } },
    ],
    special_tokens: { [token]: { id: token, ids: [bos], tokens: [token] } },
  };
}

/** A SentencePiece vocabulary has scores, not merges: every way to put a piece together from two others, best piece first. */
function mergesByScore(tokens: readonly string[], scores: readonly number[]): [string, string][] {
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const merges: { left: string; right: string; id: number }[] = [];
  tokens.forEach((token, id) => {
    const characters = [...token];
    if (characters.length > 64) return;
    for (let cut = 1; cut < characters.length; cut++) {
      const left = characters.slice(0, cut).join("");
      const right = characters.slice(cut).join("");
      if (ids.has(left) && ids.has(right)) merges.push({ left, right, id });
    }
  });
  merges.sort((a, b) => (scores[b.id] ?? 0) - (scores[a.id] ?? 0) || a.id - b.id);
  return merges.map(({ left, right }) => [left, right]);
}

function definedOnly(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
