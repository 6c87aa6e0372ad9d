import assert from "node:assert/strict";
import { test } from "node:test";
import { ConfigError, configure } from "../../src/trainers/configure.js";
import { readGolden } from "../helpers/golden.js";

test("defaults are TRL 0.11.4's", () => {
  const defaults = (readGolden("defaults.json") as unknown as Record<string, Record<string, unknown>>)[
    "trl 0.11.4 PPOConfig"
  ];
  assert.ok(defaults);
  const config = configure();
  const names: Record<string, unknown> = {
    adap_kl_ctrl: config.adaptiveKl,
    batch_size: config.batchSize,
    cliprange: config.cliprange,
    cliprange_value: config.cliprangeValue,
    early_stopping: config.earlyStopping,
    gamma: config.gamma,
    gradient_accumulation_steps: config.gradientAccumulationSteps,
    horizon: config.klHorizon,
    init_kl_coef: config.klCoef,
    kl_penalty: config.klPenalty,
    lam: config.lambda,
    learning_rate: config.learningRate,
    max_grad_norm: config.maxGradNorm,
    mini_batch_size: config.miniBatchSize,
    ppo_epochs: config.ppoEpochs,
    ratio_threshold: config.ratioThreshold,
    score_clip: config.scoreClip,
    seed: config.seed,
    target: config.klTarget,
    target_kl: config.targetKl,
    use_score_norm: config.useScoreNorm,
    use_score_scaling: config.useScoreScaling,
    vf_coef: config.vfCoef,
    whiten_rewards: config.whitenRewards,
  };
  for (const [name, value] of Object.entries(names)) assert.equal(value, defaults[name], name);
});

test("TRL's and LLaMA-Factory's names mean the same as ours", () => {
  const theirs = configure({ batch_size: 16, init_kl_coef: 0.1, ppo_target: 3, lam: 0.9, num_ppo_epochs: 2 });
  const ours = configure({ batchSize: 16, klCoef: 0.1, klTarget: 3, lambda: 0.9, ppoEpochs: 2 });
  assert.deepEqual(theirs, ours);
  assert.equal(ours.miniBatchSize, 16, "a batch without a mini-batch is trained on in one piece");
});

test("a key nobody knows is answered with the nearest one", () => {
  assert.throws(
    () => configure({ learningrte: 1 }),
    /config\.learningrte: unknown key\. Did you mean "learningRate"\?/,
  );
  assert.throws(() => configure({ clip_rnge: 1 }), /Did you mean "cliprange"\?/);
  assert.throws(() => configure({ zzzzzzzzzzzz: 1 }), /Known keys: dialect, batchSize/);
});

test("values out of range, contradictions and sizes that do not divide name the key and the value", () => {
  const cases: readonly [Record<string, unknown>, RegExp][] = [
    [{ gamma: 1.5 }, /config\.gamma: 1\.5 will not do/],
    [{ batch_size: "many" }, /config\.batch_size: "many" will not do/],
    [{ klPenalty: "k9" }, /config\.klPenalty: "k9" will not do/],
    [{ klTarget: 3, target: 4 }, /config\.target: 4, but "klTarget" is the same setting and says 3/],
    [{ batchSize: 10, miniBatchSize: 4 }, /10 is not a multiple of miniBatchSize x gradientAccumulationSteps = 4 x 1/],
    [{ minNewTokens: 40 }, /config\.minNewTokens: 40 is more than maxNewTokens = 32/],
    [{ useScoreNorm: true }, /config\.useScoreNorm: has an effect only with useScoreScaling/],
    [{ dialect: "trl-9" }, /config\.dialect: "trl-9" is not known/],
    [{ learningRate: Number.NaN }, /config\.learningRate: NaN will not do/],
  ];
  for (const [input, message] of cases) {
    assert.throws(
      () => configure(input),
      (error) => error instanceof ConfigError && message.test(error.message),
      JSON.stringify(input),
    );
  }
});

test("a configuration is frozen", () => {
  const config = configure({ stopTokens: ["."] });
  assert.ok(Object.isFrozen(config) && Object.isFrozen(config.stopTokens));
});
