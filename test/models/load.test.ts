import assert from "node:assert/strict";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, test } from "node:test";
import { inspect } from "node:util";
import { loadModel, modelNames } from "../../src/models/load.js";
import { createModel, hasValueHead, withParams, withValueHead } from "../../src/models/model.js";
import { readSafetensors, readSafetensorsHeader, writeSafetensors } from "../../src/models/safetensors.js";
import { saveModel } from "../../src/models/save.js";
import { stream } from "../../src/random.js";
import { float32 } from "../../src/tensor.js";
import { tinyTokenizer } from "../helpers/tinyTokenizer.js";

const root = mkdtempSync(join(tmpdir(), "policyscope-load-"));
after(() => rmSync(root, { recursive: true }));
const source = "test/golden/models/llama_untied";
const folder = join(root, "copy");

beforeEach(() => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  for (const name of ["config.json", "model.safetensors"]) cpSync(join(source, name), join(folder, name));
});

const json = (name: string): Record<string, unknown> => JSON.parse(readFileSync(join(folder, name), "utf8"));
const put = (name: string, value: unknown) => writeFileSync(join(folder, name), JSON.stringify(value));

test("a model is a frozen value whose fingerprint follows its weights", async () => {
  const model = await loadModel(folder);
  assert.ok(Object.isFrozen(model) && Object.isFrozen(model.config) && Object.isFrozen(model.generation));
  assert.deepEqual(model.generation, { eosTokenIds: [2], bosTokenId: 1, padTokenId: 0 });
  assert.match(model.fingerprint, /^[0-9a-f]{32}$/);
  const name = "model.norm.weight";
  const value = model.params.get(name);
  assert.ok(value);
  const changed = withParams(
    model,
    new Map(model.params).set(
      name,
      float32(
        value.shape,
        value.data.map((x, i) => (i === 0 ? x + 1e-6 : x)),
      ),
    ),
  );
  assert.notEqual(changed.fingerprint, model.fingerprint);
  assert.equal(withParams(changed, new Map([...model.params].reverse())).fingerprint, model.fingerprint);
  assert.match(inspect(model), /Model "copy": llama, .* M parameters/);
  assert.throws(() => withParams(model, new Map([...model.params].slice(1))), /is missing/);
});

test("what is saved loads as the same model, value head included", async () => {
  const { tokenizer, tokenizerConfig } = tinyTokenizer();
  put("tokenizer.json", tokenizer);
  put("tokenizer_config.json", tokenizerConfig);
  put("generation_config.json", { eos_token_id: [0, 2], pad_token_id: 1 });
  const random = stream(1, "value head", 0, 0);
  const model = withValueHead(await loadModel(folder), () => random.uniform());
  assert.ok(hasValueHead(model) && withValueHead(model, () => 0) === model);
  const saved = join(root, "saved");
  await saveModel(saved, model);
  const back = await loadModel(saved);
  assert.equal(back.fingerprint, model.fingerprint);
  assert.deepEqual(back.config, model.config);
  assert.deepEqual(back.generation, { eosTokenIds: [0, 2], bosTokenId: 1, padTokenId: 1 });
  assert.equal(back.tokenizer.decode(back.tokenizer.encode("the good")), "the good");
  const { shapes, metadata } = await readSafetensorsHeader(join(saved, "model.safetensors"));
  assert.deepEqual(shapes.get("v_head.summary.weight"), [1, 48]);
  assert.equal(metadata.format, "pt");
  assert.equal(JSON.parse(readFileSync(join(saved, "config.json"), "utf8")).dtype, "float32");
  writeFileSync(join(saved, "notes.txt"), "mine");
  await saveModel(saved, await loadModel(folder));
  assert.ok(!hasValueHead(await loadModel(saved)), "the earlier model was replaced");
  assert.equal(readFileSync(join(saved, "notes.txt"), "utf8"), "mine");
  assert.deepEqual(readdirSync(root).sort(), ["copy", "saved"], "nothing temporary is left");
});

test("a value head in a file of its own is loaded, too", async () => {
  const model = await loadModel("test/golden/ppo-trl-0.11/gpt2_init");
  assert.deepEqual(model.params.get("v_head.summary.weight")?.shape, [1, model.config.hiddenSize]);
});

test("saving that fails changes nothing and leaves nothing", async () => {
  const model = await loadModel(folder);
  const saved = join(root, "full");
  await saveModel(saved, model);
  const full = Object.assign(new Error("write"), { code: "ENOSPC" });
  const params = new Map(model.params);
  params.values = () => {
    throw full;
  };
  const failing = { ...model, name: "policy", params };
  const before = readdirSync(saved);
  await assert.rejects(
    saveModel(saved, failing),
    /no space left to save "policy" in .*full; nothing there was changed\. Free some space/,
  );
  assert.deepEqual(readdirSync(saved), before);
  assert.equal((await loadModel(saved)).fingerprint, model.fingerprint);
  await assert.rejects(saveModel(join(root, "aborted"), model, { signal: AbortSignal.abort() }), /abort/i);
  assert.ok(!existsSync(join(root, "aborted")));
  assert.deepEqual(
    readdirSync(root).filter((name) => name.includes("partial")),
    [],
  );
  rmSync(saved, { recursive: true });
  const other = join(root, "photos");
  mkdirSync(other);
  writeFileSync(join(other, "holiday.jpg"), "");
  await assert.rejects(saveModel(other, model), /holds files and no model/);
  rmSync(other, { recursive: true });
});

test("weights in several files are put together", async () => {
  const whole = [...(await readSafetensors(join(folder, "model.safetensors")))];
  const shards = [whole.slice(0, 7), whole.slice(7)].map((part) => new Map(part));
  const map: Record<string, string> = {};
  for (const [i, shard] of shards.entries()) {
    const name = `model-0000${i + 1}-of-00002.safetensors`;
    await writeSafetensors(join(folder, name), shard);
    for (const key of shard.keys()) map[key] = name;
  }
  rmSync(join(folder, "model.safetensors"));
  put("model.safetensors.index.json", { metadata: {}, weight_map: map });
  assert.equal((await loadModel(folder)).fingerprint, (await loadModel(source)).fingerprint);
  rmSync(join(folder, "model-00002-of-00002.safetensors"));
  await assert.rejects(loadModel(folder), /model-00002-of-00002\.safetensors is missing/);
  put("model.safetensors.index.json", { weight_map: { x: "../../secret.safetensors" } });
  await assert.rejects(loadModel(folder), /not a file of its own folder/);
});

test("a checkpoint of the bare transformer loads without its prefix", async () => {
  const gpt2 = "test/golden/models/gpt2";
  cpSync(join(gpt2, "config.json"), join(folder, "config.json"));
  const params = await readSafetensors(join(gpt2, "model.safetensors"));
  await writeSafetensors(
    join(folder, "model.safetensors"),
    new Map([...params].map(([name, value]) => [name.replace("transformer.", ""), value])),
  );
  assert.equal((await loadModel(folder)).fingerprint, (await loadModel(gpt2)).fingerprint);
});

test("names that nobody knows are answered with those that are, and the nearest", async () => {
  await assert.rejects(
    loadModel("smolm2-135m"),
    /There is no model "smolm2-135m": did you mean "smollm2-135m"\? .*tiny-reviews|There is no model "smolm2-135m": did you mean "smollm2-135m"\?/,
  );
  await assert.rejects(loadModel("./nowhere/model.gguf"), /no folder or file is at .*nowhere/);
  assert.ok(modelNames().includes("smollm2-135m"));
});

test("a model that is not fetched yet says how, and asks before it fetches", async () => {
  const cache = join(root, "empty-cache");
  await assert.rejects(
    loadModel("smollm2-135m", { cache }),
    /not on this machine yet \(93 MB\)\. Run: policyscope pull smollm2-135m/,
  );
  const asked: string[] = [];
  const ask = ({ name }: { name: string }) => {
    asked.push(name);
    return false;
  };
  await assert.rejects(loadModel("smollm2-135m", { cache, pull: ask }), /policyscope pull/);
  assert.deepEqual(asked, ["smollm2-135m"]);
});

const bad: readonly [what: string, spoil: () => Promise<void> | void, message: RegExp][] = [
  ["no config.json", () => rmSync(join(folder, "config.json")), /has no config\.json/],
  [
    "an adapter",
    () => renameSync(join(folder, "config.json"), join(folder, "adapter_config.json")),
    /is a PEFT adapter/,
  ],
  ["a config.json that is not JSON", () => writeFileSync(join(folder, "config.json"), "{"), /config\.json is not JSON/],
  ["no weights", () => rmSync(join(folder, "model.safetensors")), /has no model\.safetensors\. Fetch it/],
  [
    "only PyTorch weights",
    () => renameSync(join(folder, "model.safetensors"), join(folder, "pytorch_model.bin")),
    /only pytorch_model\.bin, which is not read\. Save the model again/,
  ],
  [
    "another width",
    () => put("config.json", { ...json("config.json"), hidden_size: 96 }),
    /parameter "model\.\S+" has shape .*, the configuration asks for/,
  ],
  [
    "more layers than weights",
    () => put("config.json", { ...json("config.json"), num_hidden_layers: 3 }),
    /parameter "model\.layers\.2\.\S+" .* is missing/,
  ],
  [
    "fewer layers than weights",
    () => put("config.json", { ...json("config.json"), num_hidden_layers: 1 }),
    /tensor "model\.layers\.1\.\S+" has no place/,
  ],
  ["a broken tokenizer", () => put("tokenizer.json", { model: 3 }), /tokenizer\.json: model is 3/],
  [
    "a broken generation_config.json",
    () => put("generation_config.json", { eos_token_id: "x" }),
    /generation_config\.json: eos_token_id is "x"/,
  ],
];
for (const [what, spoil, message] of bad) {
  test(`${what} is refused, naming the folder or file`, async () => {
    await spoil();
    await assert.rejects(loadModel(folder), (error: Error) => {
      assert.match(error.message, message);
      assert.ok(error.message.startsWith(folder), error.message);
      return true;
    });
  });
}

test("a model can be made from nothing but a configuration and parameters", async () => {
  const { params, files } = await loadModel(folder);
  assert.equal(createModel({ name: "mine", files, params }).name, "mine");
  assert.throws(
    () => createModel({ name: "mine", files, params: new Map() }),
    /mine: parameter "model\.embed_tokens\.weight" \[96, 48\] is missing/,
  );
});
