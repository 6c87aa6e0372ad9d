import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { loadModel } from "../../src/models/load.js";
import { createTokenizer } from "../../src/models/tokenizer.js";
import { damaged, damagedJson } from "../helpers/damage.js";
import { f32Tensor, type GgufField, writeGguf } from "../helpers/gguf.js";
import { tinyTokenizer, tinyVocabulary } from "../helpers/tinyTokenizer.js";

const root = mkdtempSync(join(tmpdir(), "policyscope-fuzz-"));
after(() => rmSync(root, { recursive: true }));

/** The quick tests take the first few hundred seeds. */
const first = 1000;
const rounds = 20_000;

/** Damaged input gives a result or an Error that names its source, and soon. */
async function survives(seed: number, where: string, read: () => unknown): Promise<void> {
  const start = performance.now();
  try {
    await read();
  } catch (error) {
    assert.ok(
      error instanceof Error && error.message.startsWith(where),
      `seed ${seed}: ${error instanceof Error ? error.stack : String(error)}`,
    );
  }
  assert.ok(performance.now() - start < 5000, `seed ${seed} took ${performance.now() - start} ms`);
}

test("damaged safetensors and config.json in a folder", async () => {
  const folder = join(root, "folder");
  mkdirSync(folder);
  const source = "test/golden/models/llama_tied";
  const weights = readFileSync(join(source, "model.safetensors"));
  const config = readFileSync(join(source, "config.json"), "utf8");
  cpSync(join(source, "config.json"), join(folder, "config.json"));
  for (let seed = first; seed < first + rounds / 4; seed++) {
    writeFileSync(join(folder, "model.safetensors"), damaged(weights, seed));
    await survives(seed, folder, () => loadModel(folder));
  }
  writeFileSync(join(folder, "model.safetensors"), weights);
  for (let seed = first; seed < first + rounds / 4; seed++) {
    writeFileSync(join(folder, "config.json"), damagedJson(config, seed));
    await survives(seed, folder, () => loadModel(folder));
  }
});

test("damaged GGUF files", async () => {
  const file = join(root, "model.gguf");
  const { tokens, merges } = tinyVocabulary();
  const metadata: Record<string, GgufField> = {
    "general.architecture": { text: "llama" },
    "llama.block_count": { u32: 0 },
    "llama.context_length": { u32: 64 },
    "llama.embedding_length": { u32: 4 },
    "llama.feed_forward_length": { u32: 8 },
    "llama.attention.head_count": { u32: 2 },
    "llama.attention.layer_norm_rms_epsilon": { f32: 1e-5 },
    "tokenizer.ggml.model": { text: "gpt2" },
    "tokenizer.ggml.pre": { text: "smollm" },
    "tokenizer.ggml.tokens": { texts: tokens },
    "tokenizer.ggml.merges": { texts: merges },
  };
  writeGguf(
    file,
    { ...metadata, "llama.block_count": { u32: 1 } },
    { "token_embd.weight": f32Tensor([tokens.length, 4], new Float32Array(tokens.length * 4)) },
  );
  const whole = readFileSync(file);
  for (let seed = first; seed < first + rounds; seed++) {
    writeFileSync(file, damaged(whole, seed));
    await survives(seed, file, () => loadModel(file));
  }
});

test("damaged tokenizer.json", async () => {
  const { tokenizer, tokenizerConfig } = tinyTokenizer();
  const [text, configText] = [JSON.stringify(tokenizer), JSON.stringify(tokenizerConfig)];
  const parsed = (json: string): unknown => {
    try {
      return JSON.parse(json);
    } catch {
      return undefined;
    }
  };
  for (let seed = first; seed < first + rounds / 4; seed++) {
    const json = parsed(damagedJson(text, seed));
    const config = parsed(seed % 3 === 0 ? damagedJson(configText, seed) : configText);
    await survives(seed, "t.json", () => {
      const made = createTokenizer(json, config, "t.json");
      made.tokenText(made.encode("the good 😀")[0] ?? 0);
      made.decode(made.encode("the good 😀"));
    });
  }
});
