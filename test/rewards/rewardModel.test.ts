import assert from "node:assert/strict";
import { test } from "node:test";
import { loadModel } from "../../src/models/load.js";
import { createModel } from "../../src/models/model.js";
import { model as rewardOf } from "../../src/rewards/rewards.js";
import { closeTo, readGolden } from "../helpers/golden.js";
import { tinyTokenizer } from "../helpers/tinyTokenizer.js";

interface Side {
  readonly input_ids: number[][];
  readonly attention_mask: number[][];
}
const context = { signal: new AbortController().signal };

/** Episodes of these ids, cut in two anywhere. */
function episodesOf(rows: readonly (readonly number[])[]) {
  const texts = rows.map(() => "");
  return {
    prompts: texts,
    responses: texts,
    queryIds: rows.map((row) => row.slice(0, 2)),
    responseIds: rows.map((row) => row.slice(2)),
  };
}

test("a reward model's score is that of the last token of prompt and response, whatever is in the batch", async () => {
  const { inputs, expected, tolerance } = readGolden<
    Record<"left" | "right", Side>,
    Record<"left" | "right", { scores: number[] }>
  >("models/llama_reward.json");
  const model = await loadModel("test/golden/models/llama_reward");
  for (const side of ["left", "right"] as const) {
    const { input_ids: ids, attention_mask: mask } = inputs[side];
    const rows = ids.map((row, b) => row.filter((_, t) => mask[b]?.[t] === 1));
    for (const batchSize of [16, 4]) {
      const reward = rewardOf(model, { batchSize });
      closeTo(
        await reward(episodesOf(rows), context),
        expected[side].scores,
        { abs: Number(tolerance.scores_abs) },
        side,
      );
      assert.equal(reward.name, "model(llama_reward)");
    }
  }
});

test("with a tokenizer of its own, it reads the texts", async () => {
  const { files, params } = await loadModel("test/golden/models/llama_reward");
  const plain = createModel({ name: "plain", files, params });
  const { tokenizer, tokenizerConfig } = tinyTokenizer();
  const reading = createModel({ name: "reading", files: { ...files, tokenizer, tokenizerConfig }, params });
  const ids = reading.tokenizer.encode("AB-CD!");
  const texts = { prompts: ["AB"], responses: ["-CD!"], queryIds: [[99999]], responseIds: [[99999]] };
  const [own] = await rewardOf(reading)(texts, context);
  const [same] = await rewardOf(plain)(episodesOf([ids]), context);
  assert.equal(own, same);
});

test("what cannot be judged is refused, by name and number", async () => {
  const reward = rewardOf(await loadModel("test/golden/models/llama_reward"));
  await assert.rejects(reward(episodesOf([[1, 2, 3], []]), context), /"llama_reward": episode 1 has no tokens/);
  await assert.rejects(
    reward(episodesOf([new Array<number>(65).fill(1)]), context),
    /episode 0 has 65 tokens and its context is 64/,
  );
  await assert.rejects(reward(episodesOf([[1, 2, 96]]), context), /token 96 and its vocabulary has 96.*tokens: "own"/);
  const policy = await loadModel("test/golden/models/llama_tied");
  assert.throws(() => rewardOf(policy), /"llama_tied" has no score head, so it is no reward model/);
  await assert.rejects(reward(episodesOf([[1, 2, 3]]), { signal: AbortSignal.abort(new Error("stop")) }), /stop/);
});
