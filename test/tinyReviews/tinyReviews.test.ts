import assert from "node:assert/strict";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Tokenizer } from "@huggingface/tokenizers";
import { tokenizerJson, trainBpe } from "../../app/tinyReviews/bpe.js";
import { openings, review } from "../../app/tinyReviews/corpus.js";
import { Writer } from "../../app/tinyReviews/grammar.js";
import { make, recipe } from "../../app/tinyReviews/make.js";
import { loadDataset } from "../../src/data/loadDataset.js";
import { ortEngine } from "../../src/engine/ort.js";
import { programCache } from "../../src/engine/programCache.js";
import { generate } from "../../src/generation/generate.js";
import { loadModel } from "../../src/models/load.js";
import { countParameters } from "../../src/models/model.js";
import { stream } from "../../src/random.js";
import { vader } from "../../src/rewards/rewards.js";

const folder = "src/models/embedded/tiny-reviews";

test("a grammar writes the same text for the same stream, and says what it lacks", () => {
  const writer = new Writer({ thing: "apple\n3x pear", two: "{=thing} and {=thing}" });
  const [left, right] = writer.write("{two}", stream(1, "x")).split(" and ");
  assert.equal(left, right);
  assert.match(writer.write("a {thing}[,|;]", stream(2, "x")), /^(an apple|a pear)[,;]$/);
  assert.throws(() => new Writer({ a: "{b}" }), /mentions \{b\}/);
});

test("reviews begin with openings, end sentences, and hold nothing unexpanded", () => {
  for (let number = 0; number < 2000; number++) {
    const { text, opening } = review(recipe.seed, number);
    assert.ok(text.startsWith(opening) && text.length > opening.length, text);
    assert.match(text, /^[A-Z][^{}[\]|]*[.!]$/);
    assert.doesNotMatch(text, /\s\s| [,.]|\ba [aeio]/);
  }
  const prompts = openings(recipe.seed, 300);
  assert.equal(new Set(prompts).size, 300);
});

test("the trained tokenizer gives every text back", () => {
  const texts = Array.from({ length: 400 }, (_, number) => review(1, number).text);
  const bpe = trainBpe(texts, 600, ["<s>", "</s>", "<pad>"]);
  assert.equal(bpe.pieces.length, 600);
  const tokenizer = new Tokenizer(JSON.parse(JSON.stringify(tokenizerJson(bpe, "<s>"))), {});
  for (const text of [...texts.slice(0, 50), "Ça va? 日本 🙂\n\t  two  spaces, it's 12.5"]) {
    const { ids } = tokenizer.encode(text);
    assert.equal(ids[0], 0);
    assert.equal(tokenizer.decode(ids, { skip_special_tokens: true, clean_up_tokenization_spaces: false }), text);
  }
});

test("the same recipe makes the same model", async () => {
  const small = {
    ...recipe,
    reviews: 300,
    prompts: 5,
    vocabSize: 300,
    hiddenSize: 16,
    intermediateSize: 32,
    numLayers: 1,
    numHeads: 2,
    training: { steps: 2, batchSize: 4, learningRate: 1e-2, warmupSteps: 1 },
  };
  const first = await make(ortEngine(), small);
  const second = await make(ortEngine(), small);
  assert.equal(first.model.fingerprint, second.model.fingerprint);
  assert.deepEqual(first.prompts, second.prompts);
  const other = await make(ortEngine(), { ...small, seed: 2 });
  assert.notEqual(other.model.fingerprint, first.model.fingerprint);
});

test("tiny-reviews is small, and its samples are readable and of mixed sentiment", async () => {
  const bytes = readdirSync(folder).reduce((sum, file) => sum + statSync(join(folder, file)).size, 0);
  assert.ok(bytes <= 8 * 2 ** 20, `the folder has ${bytes} bytes`);
  const model = await loadModel("tiny-reviews");
  const count = countParameters(model.params);
  assert.ok(count >= 1e6 && count <= 3e6, `${count} parameters`);

  const prompts = [...(await loadDataset("tiny-reviews/prompts")).shuffle(1).slice(0, 128)];
  const programs = programCache(ortEngine());
  const { tokenizer } = model;
  const ids = prompts.map((prompt) => tokenizer.encode(prompt));
  const { responseIds } = await generate(programs, model, ids, { maxNewTokens: 24 }, { seed: 1 });
  await programs.dispose();
  const responses = responseIds.map((response) => tokenizer.decode(response, { skipSpecialTokens: true }));
  const scores = vader()({ prompts, responses });
  const mean = scores.reduce((sum, score) => sum + score, 0) / scores.length;
  const part = (holds: (score: number) => boolean): number => scores.filter(holds).length / scores.length;
  assert.ok(Math.abs(mean) < 0.2, `mean sentiment ${mean}`);
  assert.ok(part((score) => score > 0.4) > 0.25 && part((score) => score < -0.4) > 0.25, "both praise and blame");

  const known = new Set(Array.from({ length: 20_000 }, (_, number) => review(recipe.seed, number).text).flatMap(words));
  const written = responses.flatMap((response) => words(response).slice(1, -1));
  const unknown = written.filter((word) => !known.has(word));
  assert.ok(unknown.length < 0.01 * written.length, `words that nobody taught: ${unknown.slice(0, 20).join(", ")}`);
});

function words(text: string): string[] {
  return text.toLowerCase().match(/[a-z]+/g) ?? [];
}
