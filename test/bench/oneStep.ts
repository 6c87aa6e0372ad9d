// Measures this project's PPO step in a process of its own: `node oneStep.js MODEL BATCH NEW_TOKENS STEPS QUERIES.json`.
// Prints one line of JSON with the same fields as trl_step.py, the other side.
import { readFileSync } from "node:fs";
import { loadModel, PPOTrainer } from "../../app/index.js";

const [model = "", batch = "", newTokens = "", steps = "", queriesFile = ""] = process.argv.slice(2);
const batchSize = Number(batch);
const maxNewTokens = Number(newTokens);
const policy = await loadModel(model);
const queries: number[][] = JSON.parse(readFileSync(queriesFile, "utf8"));
const prompts = queries.map((ids) => policy.tokenizer?.decode(ids) ?? "");
const trainer = await PPOTrainer.create({
  policy,
  prompts,
  reward: ({ responses }) => responses.map((text) => new Set(text).size / 100),
  config: { dialect: "trl-0.11", batchSize, maxNewTokens, minNewTokens: maxNewTokens, learningRate: 1.41e-5, seed: 0 },
});
const seconds: Record<"rollout" | "score" | "update", number[]> = { rollout: [], score: [], update: [] };
async function timed<T>(stage: keyof typeof seconds, work: () => Promise<T>): Promise<T> {
  const started = performance.now();
  const value = await work();
  seconds[stage].push((performance.now() - started) / 1000);
  return value;
}
for (let step = 0; step <= Number(steps); step++) {
  const rollout = await timed("rollout", () => trainer.rollout());
  const advantaged = await timed("score", async () => trainer.advantage(await trainer.score(rollout)));
  await timed("update", () => trainer.update(advantaged));
}
// The first step warms up.
const median = (values: readonly number[]) =>
  [...values.slice(1)].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)] ?? 0;
console.log(
  JSON.stringify({
    rollout: median(seconds.rollout),
    score: median(seconds.score),
    update: median(seconds.update),
    tokensPerSecond: (batchSize * maxNewTokens) / median(seconds.rollout),
    peakBytes: process.resourceUsage().maxRSS * 1024,
  }),
);
