import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { parseConfig } from "../../src/models/config.js";
import { rotaryFrequencies } from "../../src/nn/transformer.js";
import { damagedJson } from "../helpers/damage.js";

const llama = {
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  vocab_size: 96,
  hidden_size: 48,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  intermediate_size: 80,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  bos_token_id: 1,
  eos_token_id: [2, 5],
};

test("both generations of transformers say the same", () => {
  const four = parseConfig({ ...llama, rope_theta: 5e5, torch_dtype: "bfloat16" }, "config.json");
  const five = parseConfig(
    { ...llama, rope_parameters: { rope_theta: 5e5, rope_type: "default" }, dtype: "bfloat16" },
    "config.json",
  );
  assert.deepEqual(four, five);
  assert.ok(four.config.modelType === "llama");
  assert.equal(four.config.ropeTheta, 5e5);
  assert.equal(four.config.headDim, 12);
  assert.deepEqual(four.eosTokenIds, [2, 5]);
});

test("stretched rotary frequencies: long waves are slowed by the factor, short ones are kept", () => {
  const scaling = {
    rope_type: "llama3",
    factor: 8,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 8192,
  };
  const wide = { ...llama, head_dim: 128, rope_theta: 5e5 };
  const plain = parseConfig(wide, "config.json").config;
  const stretched = parseConfig({ ...wide, rope_scaling: scaling }, "config.json").config;
  assert.ok(plain.modelType === "llama" && stretched.modelType === "llama");
  const before = rotaryFrequencies(plain, plain.headDim);
  const after = rotaryFrequencies(stretched, stretched.headDim);
  assert.equal(after[0], before[0]);
  const last = before.length - 1;
  assert.ok(Math.abs((after[last] ?? 0) * 8 - (before[last] ?? 1)) < 1e-12);
  after.forEach((frequency, i) => assert.ok(frequency <= (before[i] ?? 0) && frequency >= (before[i] ?? 0) / 8.001));
});

const bad: readonly [json: unknown, message: RegExp][] = [
  [{}, /config\.json: model_type is missing/],
  [null, /config\.json/],
  [{ ...llama, model_type: "mamba" }, /model_type is "mamba"; policyscope runs gpt2, llama/],
  [{ ...llama, hidden_size: "48" }, /hidden_size is "48"/],
  [{ ...llama, hidden_size: undefined }, /hidden_size is missing/],
  [{ ...llama, num_key_value_heads: 3 }, /num_key_value_heads is 3, which does not divide num_attention_heads 4/],
  [
    { ...llama, num_attention_heads: 5, num_key_value_heads: 5 },
    /num_attention_heads is 5, which does not divide hidden_size 48/,
  ],
  [{ ...llama, hidden_act: "gelu" }, /hidden_act is "gelu"/],
  [{ ...llama, rope_scaling: { rope_type: "yarn", factor: 4 } }, /rope type "yarn" is not supported/],
  [{ ...llama, architectures: ["LlamaForSequenceClassification"], num_labels: 3 }, /3 labels; a reward model has 1/],
];
for (const [json, message] of bad) {
  test(`refused: ${message.source}`, () => assert.throws(() => parseConfig(json, "config.json"), message));
}

test("a damaged config.json gives an error that names it, or a configuration", () => {
  for (const name of ["gpt2", "llama_tied", "qwen3", "llama_reward", "gpt_neox"]) {
    const text = readFileSync(`test/golden/models/${name}/config.json`, "utf8");
    for (let seed = 0; seed < 300; seed++) {
      let json: unknown;
      try {
        json = JSON.parse(damagedJson(text, seed));
      } catch {
        continue;
      }
      try {
        assert.ok(parseConfig(json, "config.json").config.hiddenSize > 0);
      } catch (error) {
        assert.ok(error instanceof Error && error.message.startsWith("config.json: "), `seed ${seed}: ${error}`);
      }
    }
  }
});
