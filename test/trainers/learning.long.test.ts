import assert from "node:assert/strict";
import { test } from "node:test";
import { loadDataset } from "../../src/data/loadDataset.js";
import { loadModel } from "../../src/models/load.js";
import { vader } from "../../src/rewards/rewards.js";
import { PPOTrainer } from "../../src/trainers/ppo.js";

/** What the tutorial trains with. */
const config = { batchSize: 32, maxNewTokens: 24, minNewTokens: 8, learningRate: 6e-4, klCoef: 0.1 };

const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;

/** The share of words that also occur in what the model wrote before it was trained, or in the prompts. */
function readable(texts: readonly string[], known: ReadonlySet<string>): number {
  const words = texts.flatMap((text) => text.toLowerCase().match(/[a-z']+/g) ?? []);
  return words.filter((word) => known.has(word)).length / words.length;
}

for (const seed of [1, 2, 3]) {
  test(`30 steps raise the mean score by 0.5 and stay near the reference, seed ${seed}`, {
    timeout: 900_000,
  }, async () => {
    const policy = await loadModel("tiny-reviews");
    const prompts = [...(await loadDataset("tiny-reviews/prompts"))];
    const trainer = await PPOTrainer.create({ policy, reward: vader(), prompts, config: { ...config, seed } });
    const known = new Set<string>();
    for (const shift of [0, 1, 2, 3]) {
      const untrained = await PPOTrainer.create({
        policy,
        prompts,
        config: { ...config, batchSize: 256, seed: 100 + shift },
      });
      const { prompts: asked, responses } = await untrained.rollout();
      for (const text of [...asked, ...responses])
        for (const word of text.toLowerCase().match(/[a-z']+/g) ?? []) known.add(word);
    }

    const scores: number[] = [];
    const kl: number[] = [];
    let samples: readonly string[] = [];
    for await (const { stats, advantaged } of trainer.run({ steps: 30 })) {
      scores.push(Number(stats["ppo/mean_scores"]));
      kl.push(Number(stats["objective/kl"]));
      samples = advantaged.responses;
    }
    const [before, after] = [mean(scores.slice(0, 2)), mean(scores.slice(-3))];
    console.log(
      `seed ${seed}: score ${before.toFixed(3)} -> ${after.toFixed(3)}, KL at most ${Math.max(...kl).toFixed(1)} nats, ${(100 * readable(samples, known)).toFixed(0)} % known words; ${samples.slice(0, 3).join(" | ")}`,
    );
    assert.ok(after - before >= 0.5, `the mean score rose from ${before} to ${after}`);
    assert.ok(Math.max(...kl) < 15, `KL per episode reached ${Math.max(...kl)} nats`);
    assert.ok(readable(samples, known) > 0.8, "samples are made of words");
    assert.ok(new Set(samples).size >= 8, `only ${new Set(samples).size} different samples of 32`);
  });
}
