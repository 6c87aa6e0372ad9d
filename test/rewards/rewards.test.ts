import assert from "node:assert/strict";
import { test } from "node:test";
import * as rewards from "../../src/rewards/rewards.js";

const context = { signal: new AbortController().signal };
const episodes = {
  prompts: ["What a terrible day. The film was", "The soup was"],
  responses: [" wonderful!", ""],
  queryIds: [[1], [2]],
  responseIds: [[5, 6], []],
};

test("vader judges the response alone, an empty one as 0, or with its prompt on request", () => {
  const [first, second] = rewards.vader()(episodes);
  assert.ok(Number(first) > 0.5);
  assert.equal(second, 0);
  const [together] = rewards.vader({ text: "prompt+response" })(episodes);
  assert.ok(Number(together) < Number(first));
  assert.equal(rewards.vader().name, "vader");
});

test("length and sum", async () => {
  assert.deepEqual(rewards.length({ target: 2 })(episodes), [-0, -1]);
  const both = rewards.sum([
    [rewards.length({ target: 2 }), 2],
    [rewards.vader(), 1],
  ]);
  const [first, second] = await both(episodes, context);
  assert.ok(Number(first) > 0.5);
  assert.equal(second, -2);
  await assert.rejects(async () => rewards.sum([[() => [1], 1]])(episodes, context), /1 values for 2 episodes/);
  assert.throws(() => rewards.length({ target: 0 }), /target/);
});
