import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { stream } from "../../src/random.js";
import { advantagesAndReturns, gae } from "../../src/rl/gae.js";
import { adaptKlCoef, fullKl, klPenalty } from "../../src/rl/kl.js";
import { ppoLosses } from "../../src/rl/losses.js";
import { maskedMean, maskedVariance, maskedWhiten } from "../../src/rl/masked.js";
import { lastCounting, noMoments, scaleScores, tokenRewards, updateMoments } from "../../src/rl/rewards.js";
import { closeTo, closeToNumber } from "../helpers/golden.js";

describe("masked statistics", () => {
  const x = [1, 2, 3, 4];
  const mask = [0, 1, 1, 0];
  test("mean, variance and whitening count only what the mask counts", () => {
    closeToNumber(maskedMean(x, mask), 2.5, { abs: 1e-12 }, "mean");
    closeToNumber(maskedVariance(x, mask), 0.5, { abs: 1e-12 }, "variance");
    closeTo(maskedWhiten(x, mask).slice(1, 3), [-Math.SQRT1_2, Math.SQRT1_2], { abs: 1e-6 }, "whitened");
    closeTo(
      maskedWhiten(x, mask, { shiftMean: false }).slice(1, 3),
      [2.5 - Math.SQRT1_2, 2.5 + Math.SQRT1_2],
      { abs: 1e-6 },
      "whitened, mean kept",
    );
  });
  test("nothing that counts is NaN, not a silent 0", () => {
    assert.ok(Number.isNaN(maskedMean(x, [0, 0, 0, 0])));
  });
});

describe("KL", () => {
  const logp = [0.5, 0.2, 0.1, 0.6, 0.2, 0.1];
  const ref = [0.4, 0.3, 0, 0.7, 0.1, 0.3];
  test("per-token estimators", () => {
    closeTo(klPenalty(logp, ref, "kl"), [0.1, -0.1, 0.1, -0.1, 0.1, -0.2], { abs: 1e-6 }, "kl");
    closeTo(klPenalty(logp, ref, "abs"), [0.1, 0.1, 0.1, 0.1, 0.1, 0.2], { abs: 1e-6 }, "abs");
    closeTo(klPenalty(logp, ref, "mse"), [0.005, 0.005, 0.005, 0.005, 0.005, 0.02], { abs: 1e-6 }, "mse");
  });
  test("over the whole vocabulary", () => {
    const p = [0.98, 0.01, 0.01, 0.49, 0.02, 0.49].map(Math.log);
    const q = [0.01, 0.01, 0.98, 0.01, 0.98, 0.01].map(Math.log);
    closeTo(fullKl(p, q, 3), [4.4474, 3.7361], { abs: 1e-4 }, "full");
  });
  test("a token without probability adds nothing", () => {
    closeTo(fullKl([0, Number.NEGATIVE_INFINITY], [Math.log(0.5), Math.log(0.5)], 2), [Math.LN2], { abs: 1e-6 }, "kl");
  });
  test("the coefficient follows its target, by at most 0.2 a horizon", () => {
    const options = { target: 6, horizon: 10_000 };
    closeToNumber(adaptKlCoef(0.2, 3, 256, options), 0.198976, { abs: 1e-9 }, "below");
    closeToNumber(adaptKlCoef(0.2, 6.6, 256, options), 0.200512, { abs: 1e-9 }, "above");
    closeToNumber(adaptKlCoef(0.2, 12, 256, options), 0.201024, { abs: 1e-9 }, "far above");
  });
});

describe("scores and rewards", () => {
  test("running moments are those of all scores together", () => {
    const all = [3, -1, 4, 1, -5, 9, 2, 6];
    const moments = updateMoments(updateMoments(noMoments, all.slice(0, 3)), all.slice(3));
    const mean = all.reduce((a, b) => a + b) / all.length;
    const squares = all.reduce((sum, x) => sum + (x - mean) ** 2, 0);
    closeTo(
      [moments.mean, moments.variance, moments.std],
      [mean, squares / all.length, Math.sqrt(squares / (all.length - 1))],
      { rel: 1e-12 },
      "moments",
    );
  });
  test("scaling, then normalisation, then clipping", () => {
    const both = scaleScores([1, 2, 6], noMoments, { useScoreScaling: true, useScoreNorm: true, scoreClip: 1 });
    closeTo(both.scores, [-2 / Math.sqrt(7), -1 / Math.sqrt(7), 1], { abs: 1e-6 }, "scores");
    const plain = scaleScores([1, 2, 6], noMoments, { useScoreScaling: false, useScoreNorm: false, scoreClip: null });
    assert.deepEqual([...plain.scores], [1, 2, 6]);
    assert.equal(plain.moments, noMoments, "moments move only when they are used");
  });
  test("the score is credited at the last token that counts, also after holes", () => {
    const mask = [1, 0, 1, 0, 1, 1, 1, 0];
    assert.deepEqual(lastCounting([...mask, 0, 0, 0, 0], 4), [2, 2, -1]);
    const rewards = tokenRewards([1, 9, 2, 9, -1, 0, 1, 9], [10, 20], mask, 0.5);
    closeTo(rewards, [-0.5, 0, 9, 0, 0.5, 0, 19.5, 0], { abs: 1e-6 }, "rewards");
    const perToken = tokenRewards([0, 0, 0, 0], [0], [1, 1, 1, 0], 0.5, [1, 2, 3, 4]);
    closeTo(perToken, [1, 2, 3, 0], { abs: 1e-6 }, "per-token rewards");
  });
});

/** The rollout that all dialects are compared on: two episodes of 4 and 2 tokens. */
const shared = (() => {
  const mask = [1, 1, 1, 1, 1, 1, 0, 0];
  const logprobs = [-1, -0.5, -2, -0.3, -0.7, -1.2, 0, 0];
  const refLogprobs = [-1.1, -0.7, -1.5, -0.4, -0.9, -1, 0, 0];
  const values = [0.1, 0.2, 0.3, 0.4, 0, 0.5, 0, 0];
  const newLogprobs = [-0.9, -0.6, -1.7, -0.3, -0.4, -1.5, 0, 0];
  const newValues = [0.2, 0.1, 0.6, 0.4, 0.3, 0.4, 0, 0];
  const rewards = tokenRewards(klPenalty(logprobs, refLogprobs, "kl"), [1, -0.5], mask, 0.1);
  const estimates = advantagesAndReturns(rewards, values, mask, 4, { gamma: 1, gaeLambda: 0.95, whitenRewards: false });
  return { mask, logprobs, values, newLogprobs, newValues, rewards, ...estimates };
})();

describe("the rollout that all dialects are compared on", () => {
  test("rewards, returns, advantages", () => {
    closeTo(shared.rewards.slice(4), [-0.02, -0.48, 0, 0], { abs: 1e-6 }, "rewards");
    const returns = [0.907226, 0.954975, 1.0105, 0.99, -0.451, -0.48, 0, 0];
    closeTo(shared.returns, returns, { abs: 1e-6 }, "returns");
    const advantages = [0.747048, 0.678399, 0.619967, 0.461653, -0.906029, -1.601038, 0, 0];
    closeTo(shared.advantages, advantages, { abs: 2e-6 }, "advantages");
  });
  test("losses", () => {
    const terms = ppoLosses(shared, { cliprange: 0.2, cliprangeValue: 0.2, vfCoef: 0.1 });
    closeToNumber(terms.policyLoss, -0.023538, { abs: 1e-6 }, "policy loss");
    closeToNumber(terms.valueLoss, 0.264855, { abs: 1e-6 }, "value loss");
    closeToNumber(terms.approxKl, 0.024167, { abs: 1e-6 }, "approxKl");
    closeToNumber(terms.totalLoss, terms.policyLoss + 0.1 * terms.valueLoss, { abs: 1e-12 }, "total");
  });
  test("what the mask leaves out changes nothing, not even a NaN", () => {
    const poisoned = [...shared.newLogprobs.slice(0, 6), Number.NaN, 1e30];
    const options = { cliprange: 0.2, cliprangeValue: 0.2, vfCoef: 0.1 };
    assert.deepEqual(ppoLosses({ ...shared, newLogprobs: poisoned }, options), ppoLosses(shared, options));
  });
});

test("GAE is the discounted sum of temporal differences", () => {
  const random = stream(1, "gae");
  const [rows, columns, gamma, gaeLambda] = [3, 7, 0.9, 0.8];
  const draw = (): number[] => Array.from({ length: rows * columns }, () => random.normal());
  const [rewards, values] = [draw(), draw()];
  const expected = rewards.map((_, i) => {
    let sum = 0;
    for (let k = i; k < (Math.floor(i / columns) + 1) * columns; k++) {
      const next = (k + 1) % columns === 0 ? 0 : (values[k + 1] ?? 0);
      sum += (gamma * gaeLambda) ** (k - i) * ((rewards[k] ?? 0) + gamma * next - (values[k] ?? 0));
    }
    return sum;
  });
  closeTo(gae(rewards, values, columns, { gamma, gaeLambda }), expected, { abs: 1e-5 }, "advantages");
});
