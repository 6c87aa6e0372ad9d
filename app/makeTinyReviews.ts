/**
 * Makes the embedded model `tiny-reviews` from nothing but this project: corpus, tokenizer, training, folder.
 * `npm run make:tiny-reviews` writes it into the project; with a folder as argument it writes there.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ortEngine } from "../src/engine/ort.js";
import { countParameters } from "../src/models/model.js";
import { saveModel } from "../src/models/save.js";
import { review } from "./tinyReviews/corpus.js";
import { make, recipe } from "./tinyReviews/make.js";

const folder = process.argv[2] ?? "src/models/embedded/tiny-reviews";
const started = performance.now();
const seconds = (): string => `${((performance.now() - started) / 1000).toFixed(0)} s`;

console.log(`Writing ${recipe.reviews} reviews and learning their words.`);
let sum = 0;
const { model, prompts } = await make(ortEngine(), recipe, {
  onStep: (step, loss) => {
    sum += loss;
    if ((step + 1) % 50 > 0) return;
    console.log(`step ${step + 1} of ${recipe.training.steps}, loss ${(sum / 50).toFixed(3)}, ${seconds()}`);
    sum = 0;
  },
});
await saveModel(folder, model);
await writeFile(join(folder, "prompts.txt"), `${prompts.join("\n")}\n`);
await writeFile(join(folder, "README.md"), card());
console.log(
  `${folder} is made: ${countParameters(model.params)} parameters, fingerprint ${model.fingerprint}, ${seconds()}.`,
);

function card(): string {
  const { seed, reviews, training } = recipe;
  return `---
license: apache-2.0
language: en
pipeline_tag: text-generation
---
# tiny-reviews

A writer of very short reviews of films, restaurants and books: a Llama network with ${countParameters(model.params)} parameters, small enough to
watch a reinforcement-learning step happen in seconds. It is part of policyscope and made by \`npm run make:tiny-reviews\`.

- Data: ${reviews} reviews written by a grammar that is part of the project (app/tinyReviews, seed ${seed}). No text of others is in it. About two
  fifths praise, a little more blame, the rest is neutral; one in five changes its mind half-way.
- Tokenizer: byte-level BPE with ${model.config.vocabSize} pieces, learned from the same reviews, so that each of their words is one token. A text starts with \`<s>\` and ends with \`</s>\`.
- Training: ${training.steps} steps of ${training.batchSize} reviews, AdamW, cosine schedule from ${training.learningRate}, with the project's own engine.
- \`prompts.txt\`: ${recipe.prompts} openings, one per line, which leave open what the reviewer thinks.

It knows a few hundred words and nothing of the world. Use it to look at training, for nothing else.

An example of the data: "${review(seed, 17).text}"
`;
}
