import assert from "node:assert/strict";
import { test } from "node:test";
import { loadModel } from "../../src/models/load.js";
import { PPOTrainer, trainerOf } from "../../src/trainers/ppo.js";

test("what could have come at a position is told with the probabilities that the rollout recorded", async () => {
  const policy = await loadModel("tiny-reviews");
  const trainer = await PPOTrainer.create({
    policy,
    reward: ({ responses }) => responses.map(({ length }) => length / 100),
    config: { batchSize: 2, miniBatchSize: 2, maxNewTokens: 6, seed: 3, ppoEpochs: 1 },
  });
  const rollout = await trainer.rollout(["The plot of this film", "I ate here on"]);
  assert.equal(trainerOf(rollout), trainer);
  const columns = rollout.responseIds.shape[1] ?? 0;
  for (const [episode, position] of [
    [0, 0],
    [1, 2],
  ] as const) {
    const found = await trainer.alternatives(rollout, episode, position);
    const id = rollout.responseIds.data[episode * columns + position];
    const came = found.find((alternative) => alternative.id === id);
    assert.equal(found.length, 6);
    assert.equal(came?.text, rollout.tokens[episode]?.[position]);
    const recorded = Math.exp(rollout.logprobs.data[episode * columns + position] ?? Number.NaN);
    assert.ok(Math.abs((came?.probability ?? 0) - recorded) < 1e-4);
    assert.equal(came?.reference, came?.probability, "the policy still is the reference");
  }
  await assert.rejects(trainer.alternatives(rollout, 0, 99), /episode 0 has no token 99/);
  await assert.rejects(trainer.alternatives(rollout, 9, 0), /episode 9/);
  const updated = await trainer.update(await trainer.advantage(await trainer.score(rollout)));
  await assert.rejects(trainer.alternatives(rollout, 0, 0), /trainer\.undo\(\)/);
  assert.equal((await trainer.alternatives(updated, 0, 0)).length, 6);
});
