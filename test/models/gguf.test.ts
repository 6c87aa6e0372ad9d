import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { openGguf } from "../../src/models/gguf.js";
import { loadModel } from "../../src/models/load.js";
import { blockFormats } from "../../src/models/quantization.js";
import type { Params } from "../../src/tensor.js";
import { damaged } from "../helpers/damage.js";
import { f32Tensor, type GgufField, type GgufTensor, writeGguf } from "../helpers/gguf.js";
import { closeTo } from "../helpers/golden.js";
import { tinyVocabulary } from "../helpers/tinyTokenizer.js";

const folder = mkdtempSync(join(tmpdir(), "policyscope-gguf-"));
after(() => rmSync(folder, { recursive: true }));
const file = join(folder, "model.gguf");

interface Fixture {
  readonly cases: Readonly<Record<string, { readonly bytes: string; readonly values: number[] }>>;
}

test("every quantisation gives the numbers that gguf-py gives for random blocks", () => {
  const { cases }: Fixture = JSON.parse(readFileSync("test/models/quantization.json", "utf8"));
  for (const [name, { bytes, values }] of Object.entries(cases)) {
    const format = [...blockFormats.values()].find((one) => one.name === name);
    assert.ok(format, name);
    const out = new Float32Array(values.length);
    format.dequantize(Uint8Array.from(Buffer.from(bytes, "base64")), out);
    closeTo(out, values, { abs: 1e-6, rel: 2e-7 }, name);
  }
});

/** Two special tokens and the printable bytes: as many as the tiny models of test/golden have embeddings. */
const vocabulary = tinyVocabulary()
  .tokens.filter((token) => token.length > 1 || /[!-~]/.test(token))
  .slice(0, 96);
const tokens: Record<string, GgufField> = {
  "tokenizer.ggml.model": { text: "gpt2" },
  "tokenizer.ggml.pre": { text: "gpt-2" },
  "tokenizer.ggml.tokens": { texts: vocabulary },
  "tokenizer.ggml.token_type": { i32s: vocabulary.map((_, id) => (id < 2 ? 3 : 1)) },
  "tokenizer.ggml.merges": { texts: [] },
  "tokenizer.ggml.eos_token_id": { u32: 0 },
};

const llamaMetadata: Record<string, GgufField> = {
  "general.architecture": { text: "llama" },
  "llama.block_count": { u32: 2 },
  "llama.context_length": { u32: 64 },
  "llama.embedding_length": { u32: 48 },
  "llama.feed_forward_length": { u32: 80 },
  "llama.attention.head_count": { u32: 4 },
  "llama.attention.head_count_kv": { u32: 2 },
  "llama.attention.layer_norm_rms_epsilon": { f32: 1e-5 },
  "llama.rope.freq_base": { f32: 10000 },
  ...tokens,
};

/** A Hugging Face Llama in the names and row order of llama.cpp. */
function llamaTensors(params: Params): Record<string, GgufTensor> {
  const rename = [
    ["model.embed_tokens", "token_embd"],
    ["model.norm", "output_norm"],
    ["lm_head", "output"],
    ["model.layers.", "blk."],
    ["self_attn.q_proj", "attn_q"],
    ["self_attn.k_proj", "attn_k"],
    ["self_attn.v_proj", "attn_v"],
    ["self_attn.o_proj", "attn_output"],
    ["mlp.gate_proj", "ffn_gate"],
    ["mlp.up_proj", "ffn_up"],
    ["mlp.down_proj", "ffn_down"],
    ["input_layernorm", "attn_norm"],
    ["post_attention_layernorm", "ffn_norm"],
  ] as const;
  const result: Record<string, GgufTensor> = {};
  for (const [name, { shape, data }] of params) {
    const stored = rename.reduce((text, [from, to]) => text.replace(from, to), name);
    const heads = name.includes("q_proj") ? 4 : name.includes("k_proj") ? 2 : 0;
    result[stored] = f32Tensor(shape, heads === 0 ? data : interleaved(data, heads, 12));
  }
  return result;
}

/** Rows of each head from halves (p, i) to neighbours (i, p), as llama.cpp's converter does. */
function interleaved(data: Float32Array, heads: number, headDim: number): Float32Array {
  const width = data.length / (heads * headDim);
  const out = new Float32Array(data.length);
  for (let head = 0; head < heads; head++) {
    for (let p = 0; p < 2; p++) {
      for (let i = 0; i < headDim / 2; i++) {
        const from = head * headDim + (p * headDim) / 2 + i;
        out.set(data.subarray(from * width, (from + 1) * width), (head * headDim + 2 * i + p) * width);
      }
    }
  }
  return out;
}

for (const [name, epsilon] of [
  ["llama_tied", 1e-5],
  ["llama_untied", 1e-6],
] as const) {
  test(`a GGUF of ${name} is the same model as its Hugging Face folder`, async () => {
    const original = await loadModel(`test/golden/models/${name}`);
    const metadata: Record<string, GgufField> = {
      ...llamaMetadata,
      "llama.attention.layer_norm_rms_epsilon": { f32: epsilon },
    };
    writeGguf(file, metadata, llamaTensors(original.params));
    const model = await loadModel(file);
    assert.deepEqual(new Set(model.params.keys()), new Set(original.params.keys()));
    for (const [key, value] of original.params) assert.deepEqual(model.params.get(key), value, key);
    assert.equal(model.fingerprint, original.fingerprint);
    const { maxPositions: _, ...config } = model.config;
    const { maxPositions: __, ...wanted } = original.config;
    assert.deepEqual(config, wanted);
    assert.deepEqual(model.generation.eosTokenIds, [0]);
    assert.equal(model.tokenizer.decode(model.tokenizer.encode("thin")), "thin");
  });
}

test("a table of rotary factors is recognised as Llama 3's stretching, or refused", async () => {
  const { params } = await loadModel("test/golden/models/llama_tied");
  // As llama.cpp's converter writes it for factor 8, theta 500,000 and heads of 12.
  const factors = Float32Array.from({ length: 6 }, (_, i) => {
    const wave = (2 * Math.PI) / 500_000 ** ((-2 * i) / 12);
    if (wave < 8192 / 4) return 1;
    if (wave > 8192) return 8;
    const smooth = (8192 / wave - 1) / 3;
    return 1 / ((1 - smooth) / 8 + smooth);
  });
  const metadata: Record<string, GgufField> = { ...llamaMetadata, "llama.rope.freq_base": { f32: 500_000 } };
  writeGguf(file, metadata, { ...llamaTensors(params), "rope_freqs.weight": f32Tensor([6], factors) });
  const { config } = await loadModel(file);
  assert.ok(config.modelType === "llama");
  assert.deepEqual(config.ropeScaling, {
    type: "llama3",
    factor: 8,
    lowFreqFactor: 1,
    highFreqFactor: 4,
    originalMaxPositions: 8192,
  });
  const other = f32Tensor(
    [6],
    factors.map((factor, i) => factor + i),
  );
  writeGguf(file, metadata, { ...llamaTensors(params), "rope_freqs.weight": other });
  await assert.rejects(loadModel(file), /rope_freqs\.weight\) other than Llama 3's/);
});

test("a GGUF of GPT-2 is the same model as its Hugging Face folder", async () => {
  const original = await loadModel("test/golden/models/gpt2");
  const rename = [
    ["transformer.wte", "token_embd"],
    ["transformer.wpe", "position_embd"],
    ["transformer.ln_f", "output_norm"],
    ["transformer.h.", "blk."],
    ["attn.c_attn", "attn_qkv"],
    ["attn.c_proj", "attn_output"],
    ["mlp.c_fc", "ffn_up"],
    ["mlp.c_proj", "ffn_down"],
    ["ln_1", "attn_norm"],
    ["ln_2", "ffn_norm"],
  ] as const;
  const tensors: Record<string, GgufTensor> = {};
  for (const [name, { shape, data }] of original.params) {
    const stored = rename.reduce((text, [from, to]) => text.replace(from, to), name);
    const [rows = 1, columns = 1] = shape;
    const matrix = /\.(c_attn|c_proj|c_fc)\.weight$/.test(name);
    const turned = Float32Array.from(data, (_, i) => data[(i % rows) * columns + Math.floor(i / rows)] ?? Number.NaN);
    tensors[stored] = matrix ? f32Tensor([columns, rows], turned) : f32Tensor(shape, data);
  }
  const metadata: Record<string, GgufField> = {
    "general.architecture": { text: "gpt2" },
    "gpt2.block_count": { u32: 2 },
    "gpt2.context_length": { u32: 64 },
    "gpt2.embedding_length": { u32: 48 },
    "gpt2.attention.head_count": { u32: 4 },
    "gpt2.attention.layer_norm_epsilon": { f32: 1e-5 },
    ...tokens,
  };
  writeGguf(file, metadata, tensors);
  assert.equal((await loadModel(file)).fingerprint, original.fingerprint);
});

test("a SentencePiece vocabulary becomes a tokenizer: spaces, best merges first, bytes for the rest", async () => {
  const { params } = await loadModel("test/golden/models/llama_tied");
  const pieces = [
    "<unk>",
    "<s>",
    "</s>",
    ...Array.from({ length: 64 }, (_, byte) => `<0x${(byte + 0xc0).toString(16).toUpperCase()}>`),
    "▁",
    "a",
    "b",
    "c",
    "▁a",
    "ab",
    "▁ab",
    "bc",
  ];
  const padded = [...pieces, ...Array.from({ length: 96 - pieces.length }, (_, i) => `<extra_${i}>`)];
  const scores = padded.map((_, id) => -id);
  const metadata: Record<string, GgufField> = {
    ...llamaMetadata,
    "tokenizer.ggml.model": { text: "llama" },
    "tokenizer.ggml.tokens": { texts: padded },
    "tokenizer.ggml.scores": { f32s: scores },
    "tokenizer.ggml.token_type": { i32s: padded.map((_, id) => (id === 0 ? 2 : id < 3 ? 3 : id < 67 ? 6 : 1)) },
    "tokenizer.ggml.bos_token_id": { u32: 1 },
    "tokenizer.ggml.eos_token_id": { u32: 2 },
  };
  writeGguf(file, metadata, llamaTensors(params));
  const { tokenizer } = await loadModel(file);
  const ids = tokenizer.encode("ab c");
  assert.deepEqual(ids.map(tokenizer.tokenText), ["<s>", " ab", " ", "c"]);
  assert.equal(tokenizer.decode(ids, { skipSpecialTokens: true }), "ab c");
  assert.deepEqual(tokenizer.encode("a", { addSpecialTokens: false }).map(tokenizer.tokenText), [" a"]);
});

const tinyTensor = { "token_embd.weight": f32Tensor([96, 48], new Float32Array(96 * 48)) };
const bad: readonly [what: string, write: () => void, message: RegExp][] = [
  ["an empty file", () => writeFileSync(file, ""), /does not begin with "GGUF"/],
  ["another kind of file", () => writeFileSync(file, "PK\u0003\u0004 something"), /does not begin with "GGUF"/],
  ["only the magic", () => writeFileSync(file, "GGUF"), /header goes on beyond the end/],
  [
    "a version from the future",
    () => writeFileSync(file, Buffer.concat([Buffer.from("GGUF"), Buffer.from([9, 0, 0, 0]), Buffer.alloc(40)])),
    /version 9/,
  ],
  ["no architecture", () => writeGguf(file, {}, {}), /"general\.architecture" is missing/],
  [
    "an unknown architecture",
    () => writeGguf(file, { "general.architecture": { text: "mamba" } }, tinyTensor),
    /architecture "mamba" is not supported; llama/,
  ],
  [
    "missing metadata",
    () => writeGguf(file, { "general.architecture": { text: "llama" } }, tinyTensor),
    /"llama\.\S+" is missing; expected a number/,
  ],
  [
    "metadata of another type",
    () => writeGguf(file, { ...llamaMetadata, "llama.block_count": { text: "2" } }, tinyTensor),
    /"llama\.block_count" is "2"; expected a number/,
  ],
  ["a missing tensor", () => writeGguf(file, llamaMetadata, tinyTensor), /tensor "blk\.0\.attn_q\.weight".*is missing/],
  [
    "a quantisation that is not read",
    () => writeGguf(file, llamaMetadata, { x: { shape: [32], type: 10, bytes: new Uint8Array(32) } }),
    /tensor "x" has type Q2_K; F32, F16/,
  ],
  [
    "rows that are no whole blocks",
    () => writeGguf(file, llamaMetadata, { x: { shape: [33], type: 8, bytes: new Uint8Array(64) } }),
    /rows of 33 are not whole Q8_0 blocks/,
  ],
  [
    "data beyond the end",
    () => writeGguf(file, llamaMetadata, { x: { shape: [4096], type: 0, bytes: new Uint8Array(32) } }),
    /tensor "x" lies at bytes/,
  ],
];
for (const [what, write, message] of bad) {
  test(`${what} is refused, naming the file and the remedy`, async () => {
    write();
    await assert.rejects(loadModel(file), (error: Error) => {
      assert.match(error.message, message);
      assert.ok(error.message.startsWith(file), error.message);
      return true;
    });
  });
}

test("damaged files give an error or a model, nothing else", async () => {
  const { params } = await loadModel("test/golden/models/llama_tied");
  writeGguf(file, llamaMetadata, llamaTensors(params));
  const whole = readFileSync(file);
  for (let seed = 0; seed < 150; seed++) {
    writeFileSync(file, damaged(whole, seed));
    try {
      const model = await loadModel(file);
      model.tokenizer.tokenText(5);
    } catch (error) {
      assert.ok(
        error instanceof Error && error.message.startsWith(file),
        `seed ${seed}: ${error instanceof Error ? error.stack : error}`,
      );
    }
  }
  writeFileSync(file, whole);
  await (await openGguf(file)).close();
});
