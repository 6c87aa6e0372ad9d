import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { inspect } from "node:util";
import { parseConfig } from "../../src/models/config.js";
import { loadModel } from "../../src/models/load.js";
import { createModel } from "../../src/models/model.js";
import { model as rewardOf } from "../../src/rewards/rewards.js";
import type { PPOTrainerOptions } from "../../src/trainers/options.js";
import { PPOTrainer } from "../../src/trainers/ppo.js";
import type { RewardFunction } from "../../src/trainers/reward.js";
import type { Advantaged, MinibatchResult } from "../../src/trainers/stages.js";
import { closeTo } from "../helpers/golden.js";
import { evenTokens, tinyPolicy } from "../helpers/tinyPolicy.js";

const prompts = ["The film", "The soup was", "My aunt", "I liked"];
const config = { batchSize: 4, maxNewTokens: 6, ppoEpochs: 2, miniBatchSize: 2, learningRate: 1e-3, seed: 5 };

const make = async (options: Partial<PPOTrainerOptions> = {}): Promise<PPOTrainer> =>
  PPOTrainer.create({
    policy: await tinyPolicy(),
    reward: evenTokens,
    prompts,
    ...options,
    config: { ...config, ...options.config },
  });

const untilAdvantage = async (trainer: PPOTrainer): Promise<Advantaged> =>
  trainer.advantage(await trainer.score(await trainer.rollout()));

/** Everything that tells one state of a trainer from another. */
const standing = (trainer: PPOTrainer) => [trainer.currentStep, trainer.klCoef, trainer.policy.fingerprint];

describe("the four stages", () => {
  test("carry their shapes, are frozen, and agree with each other", async () => {
    const trainer = await make();
    const rollout = await trainer.rollout();
    const scored = await trainer.score(rollout);
    const advantaged = await trainer.advantage(scored);
    const updated = await trainer.update(advantaged);
    const columns = Math.max(...rollout.responseLengths);
    for (const field of ["logprobs", "refLogprobs", "values", "kl", "rewards", "advantages", "returns"] as const) {
      assert.deepEqual(advantaged[field].shape, [4, columns], field);
    }
    assert.deepEqual(scored.scores.shape, [4]);
    for (const value of [rollout, scored, advantaged, updated]) {
      assert.ok(Object.isFrozen(value) && Object.isFrozen(value.config));
      assert.match(value.fingerprint, /^[0-9a-f]{32}$/);
    }
    closeTo(scored.logprobs.data, rollout.logprobs.data, { abs: 1e-4 }, "the sampler's and the scorer's log-probs");
    closeTo(scored.kl.data, new Float32Array(4 * columns), { abs: 1e-5 }, "no distance from the reference yet");
    const ratios = Array.from(updated.minibatches[0]?.ratio.data ?? []).filter((ratio) => ratio !== 0);
    closeTo(
      ratios,
      ratios.map(() => 1),
      { abs: 1e-5 },
      "ratio before the first step",
    );
    assert.equal(updated.minibatches.length, 4);
    assert.deepEqual(
      updated.newLogprobs.map(({ shape }) => shape),
      [
        [4, columns],
        [4, columns],
      ],
    );
    assert.equal(trainer.currentStep, 1);
    assert.equal(updated.parameters, trainer.policy.fingerprint);
    assert.notEqual(updated.parameters, updated.parametersBefore);
  });

  test("the same seed gives the same numbers, another seed others", async () => {
    const [one, two, other] = [await make(), await make(), await make({ config: { seed: 6 } })];
    const [a, b, c] = [await one.step(), await two.step(), await other.step()];
    assert.equal(a.fingerprint, b.fingerprint);
    assert.equal(a.advantaged.fingerprint, b.advantaged.fingerprint);
    assert.notEqual(a.advantaged.fingerprint, c.advantaged.fingerprint);
  });

  test("overrides are arguments: one rollout, two rewards, other coefficients", async () => {
    const trainer = await make();
    const rollout = await trainer.rollout();
    const [plain, other] = [await trainer.score(rollout), await trainer.score(rollout, { reward: () => [1, 2, 3, 4] })];
    assert.deepEqual([...other.scores.data], [1, 2, 3, 4]);
    assert.notDeepEqual(plain.scores.data, other.scores.data);
    assert.deepEqual(plain.values.data, other.values.data);
    await trainer.step();
    const later = await trainer.score(await trainer.rollout());
    const free = await trainer.advantage(later, { klCoef: 0, gamma: 0.5 });
    const expected = later.rewards.data.map((reward, i) => reward + later.klCoef * (later.kl.data[i] ?? 0));
    closeTo(free.rewards.data, expected, { abs: 1e-6 }, "rewards without the KL penalty");
    assert.equal(free.gamma, 0.5);
  });

  test("rewards may judge tokens", async () => {
    const trainer = await make();
    const reward: RewardFunction = async ({ responseIds }) => responseIds.map((ids) => ids.map((_, t) => t));
    const scored = await trainer.score(await trainer.rollout(), { reward });
    const [length = 0] = scored.responseLengths;
    closeTo(
      scored.rewards.data.subarray(0, length),
      Array.from({ length }, (_, t) => t),
      { abs: 1e-5 },
      "rewards",
    );
    assert.equal(scored.scores.data[0], (length * (length - 1)) / 2);
  });

  test("a reward may be a model", async () => {
    const { files, params } = await loadModel("test/golden/models/llama_reward");
    const { vocabSize } = parseConfig(files.config, "reward").config;
    const judge = createModel({ name: "judge", files, params });
    const trainer = await make({ reward: judge });
    const queryIds = Array.from({ length: 4 }, (_, row) => [1 + row, 2]);
    const responseIds = queryIds.map(([first = 0]) => [first + 7, vocabSize - 1]);
    const scored = await trainer.score(await trainer.rolloutOf({ queryIds, responseIds }));
    const texts = { prompts: scored.prompts, responses: scored.responses, queryIds, responseIds };
    const direct = await rewardOf(judge)(texts, { signal: new AbortController().signal });
    closeTo(scored.scores.data, Array.from(direct, Number), { abs: 1e-6 }, "scores");
    assert.match(inspect(trainer), /model\(judge\)/);
  });

  test("values show themselves as text, colours only where asked for", async () => {
    const trainer = await make();
    const updated = await trainer.step();
    for (const value of [updated.advantaged, updated, trainer, trainer.history]) {
      assert.doesNotMatch(inspect(value, { colors: false }), /\x1b/);
      assert.match(inspect(value, { colors: true }), /\x1b/);
      const show: unknown = Reflect.get(value, Symbol.for("Jupyter.display"));
      assert.ok(typeof show === "function");
      assert.equal(typeof show.call(value)["text/plain"], "string");
    }
    assert.match(inspect(trainer), /optimizer {2}Adam\(lr 0\.001/);
  });
});

describe("minibatches", () => {
  test("walking to the end is the update; what is shown stands before each step", async () => {
    const [walker, updater] = [await make(), await make()];
    const walked: MinibatchResult[] = [];
    for await (const minibatch of walker.minibatches(await untilAdvantage(walker))) {
      if (walked.length === 0) assert.equal(walker.currentStep, 0);
      walked.push(minibatch);
    }
    const updated = await updater.update(await untilAdvantage(updater));
    assert.deepEqual(standing(walker), standing(updater));
    assert.deepEqual(
      walked.map(({ totalLoss, gradientNorm }) => [totalLoss, gradientNorm]),
      updated.minibatches.map(({ totalLoss, gradientNorm }) => [totalLoss, gradientNorm]),
    );
    assert.equal(walker.history.length, 1);
  });

  test("leaving the loop, and a dry run, change nothing", async () => {
    const trainer = await make();
    const advantaged = await untilAdvantage(trainer);
    const before = standing(trainer);
    for await (const { index } of trainer.minibatches(advantaged)) if (index === 1) break;
    assert.deepEqual(standing(trainer), before);
    const dry = await trainer.update(advantaged, { dryRun: true });
    assert.deepEqual(standing(trainer), before);
    const wet = await trainer.update(advantaged);
    assert.equal(dry.parameters, wet.parameters, "a dry run says what the update would do");
    assert.deepEqual(standing(trainer), [1, wet.klCoef, wet.parameters]);
  });

  test("accumulated gradients are the gradient of the whole", async () => {
    const whole = await make({ config: { miniBatchSize: 4, ppoEpochs: 1 } });
    const parts = await make({ config: { miniBatchSize: 2, gradientAccumulationSteps: 2, ppoEpochs: 1 } });
    const reward: RewardFunction = ({ responses }) => responses.map((_, i) => i);
    const masks = [
      [1, 1],
      [1, 1],
      [1, 1],
      [1, 1],
    ];
    const ids = {
      queryIds: [
        [5, 6],
        [7, 8],
        [9, 10],
        [11, 12],
      ],
      responseIds: [
        [3, 4],
        [5, 6],
        [7, 8],
        [9, 3],
      ],
    };
    for (const trainer of [whole, parts]) {
      const rollout = await trainer.rolloutOf({ ...ids, responseMask: masks });
      await trainer.update(await trainer.advantage(await trainer.score(rollout, { reward })), {
        permutations: [[0, 1, 2, 3]],
      });
    }
    for (const [name, { data }] of whole.policy.params) {
      closeTo(parts.policy.params.get(name)?.data ?? [], data, { abs: 2e-4 }, name);
    }
  });
});

describe("time", () => {
  test("undo, goto and fork stand where the trainer stood, with the same numbers after", async () => {
    const trainer = await make();
    const at = [standing(trainer)];
    for (let i = 0; i < 3; i++) {
      await trainer.step();
      at.push(standing(trainer));
    }
    await trainer.undo();
    assert.deepEqual(standing(trainer), at[2]);
    assert.equal(trainer.history.length, 2);
    await trainer.goto(1);
    assert.deepEqual(standing(trainer), at[1]);
    const fork = trainer.fork({ config: { learningRate: 1e-2 } });
    await trainer.step();
    assert.deepEqual(standing(trainer), at[2], "the same step again gives the same numbers");
    await fork.step();
    assert.equal(fork.config.learningRate, 1e-2);
    assert.notDeepEqual(standing(fork), at[2]);
    assert.equal(fork.history.length, 2);
    await trainer.goto(0);
    assert.deepEqual(standing(trainer), at[0]);
    await assert.rejects(trainer.undo(), /undo: there is no earlier state/);
    await assert.rejects(trainer.goto(7), /goto: there is no state after 7 steps; there are states after 0 to 2/);
  });

  test("a fork takes its parent's values", async () => {
    const trainer = await make();
    const rollout = await trainer.rollout();
    const fork = trainer.fork({ config: { klCoef: 1 } });
    const scored = await fork.score(rollout);
    assert.equal(scored.klCoef, 1);
    await assert.rejects(trainer.advantage(scored), /made by another trainer/);
  });

  test("run stops and goes on", async () => {
    const trainer = await make();
    let seen = 0;
    trainer.history.subscribe(() => seen++);
    for await (const { step } of trainer.run({ steps: 5 })) if (step === 1) break;
    assert.equal(trainer.currentStep, 2);
    for await (const { step } of trainer.run({ steps: 5 })) if (step === 3) trainer.stop();
    assert.equal(trainer.currentStep, 4);
    assert.ok(seen >= 4);
    assert.deepEqual(trainer.history.metric("objective/kl_coef").length, 4);
  });

  test("models that were handed out keep their weights, however little is remembered", async () => {
    const trainer = await make({ history: { memoryBytes: 0, diskBytes: 0 } });
    await trainer.step();
    const { policy } = trainer;
    const before = new Map([...policy.params].map(([name, { data }]) => [name, data.slice()]));
    for (let i = 0; i < 3; i++) await trainer.step();
    for (const [name, data] of before) assert.deepEqual(policy.params.get(name)?.data, data, name);
    await assert.rejects(trainer.undo(), /no longer kept/);
  });

  test("a large model is updated in place, its state safe on disk: the same numbers, and nothing half updated", async () => {
    const [plain, large] = [await make(), await make({ history: { memoryBytes: 1 } })];
    for (let i = 0; i < 3; i++) {
      await plain.step();
      await large.step();
    }
    assert.deepEqual(standing(large), standing(plain));
    const advantaged = await untilAdvantage(large);
    for await (const { epoch } of large.minibatches(advantaged)) if (epoch === 1) break;
    const walk = large.minibatches(advantaged);
    for (let i = 0; i < 3; i++) await walk.next();
    await large.score(await large.rollout());
    assert.deepEqual(standing(large), standing(plain), "an update left in the middle, and one that stands still");
    const first = large.minibatches(advantaged);
    await first.next();
    await large.update(advantaged, { dryRun: true });
    let next = await first.next();
    while (!next.done) next = await first.next();
    await plain.update(await untilAdvantage(plain));
    assert.deepEqual(standing(large), standing(plain), "two updates on the same parameters");
    const rollout = await large.rollout();
    const settled = await plain.score(await plain.rollout());
    const [scored] = await Promise.all([large.score(rollout), large.update(advantaged, { dryRun: true })]);
    assert.deepEqual(scored.values.data, settled.values.data, "scored while an update runs");
    await large.undo();
    await plain.undo();
    await large.undo();
    await plain.undo();
    await large.step();
    await plain.step();
    assert.deepEqual(standing(large), standing(plain));
  });

  test("a value of older parameters is accepted, and said to be stale", async () => {
    const trainer = await make();
    const old = await untilAdvantage(trainer);
    const rollout = await trainer.rollout();
    await trainer.update(old);
    const warnings: string[] = [];
    const warn = console.warn;
    console.warn = (text: string) => void warnings.push(text);
    try {
      const scored = await trainer.score(rollout);
      assert.match(scored.stale ?? "", /written at step 0 .* stands at step 1/);
      const updated = await trainer.update(old);
      assert.match(updated.stale ?? "", /scored at step 0/);
      await trainer.score(rollout);
    } finally {
      console.warn = warn;
    }
    assert.equal(warnings.length, 2, "each is said once");
  });
});

describe("bad input leaves the trainer as it was, and is named", () => {
  const refused = async (trainer: PPOTrainer, call: () => Promise<unknown>, message: RegExp): Promise<void> => {
    const before = standing(trainer);
    await assert.rejects(call, message);
    assert.deepEqual(standing(trainer), before);
  };

  test("values of the wrong stage, of another trainer, changed, or not awaited", async () => {
    const trainer = await make();
    const advantaged = await untilAdvantage(trainer);
    const rollout = await trainer.rollout();
    const as = (value: unknown) => value as Advantaged;
    await refused(
      trainer,
      () => trainer.update(as(rollout)),
      /update needs the value of trainer\.advantage\(scored\); this is the value of trainer\.rollout\(\)/,
    );
    await refused(trainer, () => trainer.update(as(undefined)), /needs .*, not undefined/);
    await refused(trainer, () => trainer.update(as(untilAdvantage(trainer))), /promise of one: put await/);
    const other = await make();
    await refused(trainer, async () => trainer.update(await untilAdvantage(other)), /made by another trainer \(ppo-/);
    await refused(
      trainer,
      () => trainer.update({ ...advantaged, config: { ...advantaged.config, gamma: 0.5 } }),
      /configuration inside this value was changed \(gamma: 0\.5 instead of 1\)/,
    );
    const zeros = { ...advantaged.advantages, data: new Float32Array(advantaged.advantages.data.length) };
    await refused(
      trainer,
      () => trainer.update({ ...advantaged, advantages: zeros }),
      /numbers inside this advantaged value were changed/,
    );
    const [first = 0] = advantaged.returns.data;
    advantaged.returns.data[0] = first + 1;
    await refused(trainer, () => trainer.update(advantaged), /numbers inside this advantaged value were changed/);
  });

  test("rewards that throw, give NaN, the wrong count or nothing, or never return", async () => {
    const trainer = await make();
    const rollout = await trainer.rollout();
    const given = (reward: unknown) => () => trainer.score(rollout, { reward: reward as RewardFunction });
    function broken(): number[] {
      throw new Error("no judge today");
    }
    await refused(trainer, given(broken), /reward "broken" threw: no judge today/);
    await refused(
      trainer,
      given(() => [1, Number.NaN, 0, 0]),
      /gave NaN for episode 1 \(".*expected a finite number/,
    );
    await refused(
      trainer,
      given(() => [1, 2]),
      /gave 2 values for 4 episodes/,
    );
    await refused(
      trainer,
      given(() => undefined),
      /gave undefined; expected one finite number per episode/,
    );
    await refused(
      trainer,
      given(async () => ["a", 1, 1, 1]),
      /gave "a" for episode 0/,
    );
    await refused(
      trainer,
      given(() => [[1], [1], [1], [1]]),
      /for the \d tokens of episode 0/,
    );
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error("enough")), 20);
    const never: RewardFunction = () => new Promise(() => undefined);
    await refused(trainer, () => trainer.score(rollout, { reward: never, signal: controller.signal }), /enough/);
    const none = await PPOTrainer.create({ policy: await tinyPolicy(), config });
    await refused(none, async () => none.score(await none.rollout(prompts)), /score: no reward; pass one/);
    await refused(none, () => none.rollout(), /rollout: no prompts; pass some/);
  });

  test("options that a call does not have, or of the wrong kind", async () => {
    const trainer = await make();
    const rollout = await trainer.rollout();
    const scored = await trainer.score(rollout);
    const advantaged = await trainer.advantage(scored);
    const options = (value: unknown) => value as object;
    for (const [call, message] of [
      [
        () => trainer.score(rollout, options({ rewrd: evenTokens })),
        /score: unknown option "rewrd"\. Did you mean "reward"\?/,
      ],
      [() => trainer.score(rollout, options(evenTokens)), /score: its options are a function; expected an object/],
      [() => trainer.score(rollout, { klCoef: Number.NaN }), /score: klCoef is NaN; expected a finite number/],
      [() => trainer.score(rollout, options({ klCoef: "0.1" })), /score: klCoef is "0\.1"; expected a finite number/],
      [() => trainer.score(rollout, options({ klPenalty: "k3" })), /score: klPenalty is "k3"; expected "kl", "abs"/],
      [() => trainer.score(rollout, options({ reward: "vader" })), /reward is "vader"; expected a function/],
      [() => trainer.score(rollout, options({ signal: 3 })), /signal is 3; expected an AbortSignal/],
      [() => trainer.advantage(scored, { gamma: 2 }), /advantage: gamma is 2; expected a number from 0 to 1/],
      [() => trainer.advantage(scored, { lambda: Number.NaN }), /advantage: lambda is NaN/],
      [() => trainer.advantage(scored, options({ kl_coef: 0 })), /unknown option "kl_coef"\. Did you mean "klCoef"\?/],
      [() => trainer.advantage(scored, { lambda: 0.5, gaeLambda: 0.9 }), /lambda is 0\.5 and gaeLambda 0\.9.*give one/],
      [
        () => trainer.update(advantaged, options({ dryrun: true })),
        /unknown option "dryrun"\. Did you mean "dryRun"\?/,
      ],
      [() => trainer.update(advantaged, options({ dryRun: "yes" })), /dryRun is "yes"; expected true or false/],
      [() => trainer.run({ steps: -1 }).next(), /run: steps is -1; expected a whole number of steps/],
      [async () => trainer.fork(options({ learningRate: 1 })), /fork: unknown option "learningRate"/],
      [() => trainer.save(options([]) as unknown as string), /save: the folder is \[\]; expected its path/],
      [() => trainer.save("package.json"), /cannot be saved in .*package\.json: EEXIST.*a folder you may write to/],
    ] as const) {
      await refused(trainer, call, message);
    }
  });

  test("a trainer made of something else", async () => {
    const policy = await tinyPolicy();
    const made = (options: unknown) => () => PPOTrainer.create(options as PPOTrainerOptions);
    await assert.rejects(made(undefined), /PPOTrainer\.create: its options are undefined; expected an object/);
    await assert.rejects(made({ policy: "tiny-reviews" }), /policy: it is "tiny-reviews"; expected .*await loadModel/);
    await assert.rejects(made({ policy: tinyPolicy() }), /policy: it is a promise; expected .*await loadModel/);
    await assert.rejects(made({ policy, rewards: evenTokens }), /unknown option "rewards"\. Did you mean "reward"\?/);
    await assert.rejects(made({ policy, reward: "vader" }), /reward is "vader"; expected a function such as/);
    await assert.rejects(made({ policy, reward: policy }), /reward is a language model, which gives no scores/);
    const resumed = (options: unknown) => () => PPOTrainer.resume("nowhere", options as object);
    await assert.rejects(resumed({ policy }), /PPOTrainer\.resume: unknown option "policy"/);
    await assert.rejects(
      resumed({ confg: {} }),
      /PPOTrainer\.resume: unknown option "confg"\. Did you mean "config"\?/,
    );
    await assert.rejects(made({ policy, config: 3 }), /config: 3 is no configuration; expected an object/);
    await assert.rejects(made({ policy, config: null }), /config: null is no configuration/);
  });

  test("prompts that are empty, too long or no texts", async () => {
    const trainer = await make();
    await refused(trainer, () => trainer.rollout(["The film", ""]), /prompt 1 is empty/);
    await refused(trainer, () => trainer.rollout([]), /prompts: there are none/);
    await refused(trainer, () => trainer.rollout("The film"), /not one text; put it in brackets/);
    await refused(trainer, () => trainer.rollout([7 as unknown as string]), /prompt 0 is 7; expected a text/);
    await refused(
      trainer,
      () => trainer.rollout([[1, 2] as unknown as string]),
      /prompt 0 is \[1,2\].*trainer\.rolloutOf/,
    );
    const long = Array(80).fill("film").join(" ");
    await refused(
      trainer,
      () => trainer.rollout([long]),
      /prompt 0 \("film.*more than the context of "tiny", 64\. Shorten the prompt to 58 tokens/,
    );
  });

  test("recorded episodes that are empty or do not fit together", async () => {
    const trainer = await make();
    const recorded = (episodes: Parameters<PPOTrainer["rolloutOf"]>[0]) => () => trainer.rolloutOf(episodes);
    await refused(trainer, recorded({ queryIds: [[1]], responseIds: [[]] }), /response 0 is empty/);
    await refused(trainer, recorded({ queryIds: [[]], responseIds: [[1]] }), /prompt 0 is empty/);
    await refused(trainer, recorded({ queryIds: [[1]], responseIds: [] }), /responseIds has 0 entries for 1 prompts/);
    await refused(trainer, recorded({ queryIds: [[1]], responseIds: [[999999]] }), /token id 999999 of episode 0/);
    await refused(
      trainer,
      recorded({ queryIds: [[1]], responseIds: [[1, 2]], responseMask: [[0, 0]] }),
      /no token of episode 0 counts/,
    );
    const few = await trainer.advantage(
      await trainer.score(await trainer.rolloutOf({ queryIds: [[1]], responseIds: [[1, 2]] }), { scores: [1] }),
    );
    await refused(trainer, () => trainer.update(few), /has 1 episodes and batchSize is 4/);
  });

  test("an interrupt in the middle of an update, also through the notebook's signal", async () => {
    const trainer = await make();
    const advantaged = await untilAdvantage(trainer);
    const before = standing(trainer);
    const controller = new AbortController();
    Reflect.set(globalThis, Symbol.for("Jupyter.abortSignal"), controller.signal);
    try {
      const walk = trainer.minibatches(advantaged);
      await walk.next();
      await walk.next();
      controller.abort(new Error("interrupted"));
      await assert.rejects(walk.next(), /interrupted/);
    } finally {
      Reflect.deleteProperty(globalThis, Symbol.for("Jupyter.abortSignal"));
    }
    assert.deepEqual(standing(trainer), before);
    await trainer.update(advantaged);
    assert.equal(trainer.currentStep, 1);
  });

  test("two updates at once: the one that ends later is refused", async () => {
    const trainer = await make();
    const advantaged = await untilAdvantage(trainer);
    const results = await Promise.allSettled([trainer.update(advantaged), trainer.update(advantaged)]);
    assert.deepEqual(results.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
    assert.equal(trainer.currentStep, 1);
  });

  test("an order that leaves an episode out", async () => {
    const trainer = await make();
    const advantaged = await untilAdvantage(trainer);
    await refused(
      trainer,
      () => trainer.update(advantaged, { permutations: [[0, 1, 1, 3]] }),
      /permutations\[0\] is \[0, 1, 1, 3\]; expected each of 0 to 3 once/,
    );
  });

  test("numbers that are no longer finite", async () => {
    const trainer = await make({ config: { learningRate: 1e30, ppoEpochs: 4 } });
    await refused(
      trainer,
      async () => trainer.update(await untilAdvantage(trainer)),
      /update: .* is (NaN|-?Infinity) in mini-batch \d of epoch \d.*Lower learningRate/,
    );
  });
});
