import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { loadModel } from "../../src/models/load.js";
import { readSafetensors } from "../../src/models/safetensors.js";
import type { Params, Tensor } from "../../src/tensor.js";
import { PPOTrainer } from "../../src/trainers/ppo.js";
import type { Advantaged, MinibatchResult } from "../../src/trainers/stages.js";
import { closeTo, closeToNumber, closeToUpdate, flat, goldenCases, goldenDir, readGolden } from "../helpers/golden.js";

type Rows = readonly (readonly number[])[];

interface StepInputs {
  readonly queries: Rows;
  readonly responses: Rows;
  readonly scores: readonly number[];
  readonly response_masks?: Rows | null;
}

interface RecordedMinibatch {
  readonly logprobs: Rows;
  readonly vpreds: Rows;
  readonly mean_ratio: number;
  readonly skipped_by_ratio_guard: boolean;
  readonly optimizer_stepped: boolean;
  readonly [stat: string]: unknown;
}

interface StepExpected {
  readonly mask: Rows;
  readonly old_logprobs: Rows;
  readonly ref_logprobs: Rows;
  readonly scores_used: readonly number[];
  readonly kls: Rows;
  readonly rewards: Rows;
  readonly values: Rows;
  readonly advantages: Rows;
  readonly returns: Rows;
  readonly kl_coef_before: number;
  readonly kl_coef_after: number;
  readonly permutations: Rows;
  readonly minibatches: readonly RecordedMinibatch[];
  readonly stats: Readonly<Record<string, number | readonly number[]>>;
  readonly update_l2: Readonly<Record<string, number>>;
  readonly grad_norm_at_each_optimizer_step: readonly number[];
}

interface Config {
  readonly init: string;
  readonly ref: string | null;
  readonly architecture: string;
  readonly peft?: unknown;
  readonly [key: string]: unknown;
}

/** Keys of the recorded configuration that are not hyperparameters of the trainer. */
const otherKeys = new Set(["backward_batch_size", "architecture", "init", "ref", "pad_token_id", "eos_token_id"]);

/** What `time/ppo/*` metrics there are; the recorded runs leave them out. */
const times = ["forward_pass", "compute_rewards", "compute_advantages", "optimize_step", "calc_stats", "total"];

/** Recorded rows are over the padded episode; this picks each episode's response tokens that count, in order. */
function counting(rows: Rows, mask: Rows): number[] {
  return rows.flatMap((row, i) => row.filter((_, t) => mask[i]?.[t] === 1));
}

function ours(tensor: Tensor<"float32">, mask: Tensor<"float32">): number[] {
  return Array.from(tensor.data).filter((_, i) => mask.data[i] === 1);
}

/** GPT-2's c_attn.bias without its key third, whose true gradient is 0 (see the notes in the files). */
function comparable(name: string, data: Float32Array): Float32Array {
  if (!name.endsWith("attn.c_attn.bias")) return data;
  const third = data.length / 3;
  return Float32Array.of(...data.subarray(0, third), ...data.subarray(2 * third));
}

/**
 * Compares the updates of all tensors. Where a weight's true gradient is about 0, Adam divides rounding noise by its own
 * size and moves the weight by a part of the learning rate in either direction, in PyTorch's run as in ours. So one
 * weight in a thousand (one at least) may be further off than the tolerance allows, by no more than all optimizer
 * steps together.
 */
function compareWeights(
  name: string,
  params: Params,
  { before, after }: { readonly before: Params; readonly after: Params },
  { tolerance, noise }: { readonly tolerance: number; readonly noise: number },
): void {
  for (const [key, want] of after) {
    const got = params.get(key);
    const start = before.get(key);
    assert.ok(got && start, `${name}: parameter ${key}`);
    const actual = comparable(key, got.data).slice();
    const expected = comparable(key, want.data);
    const off = (i: number): number => Math.abs((actual[i] ?? Number.NaN) - (expected[i] ?? Number.NaN));
    const spared = actual.length < 16 ? 0 : Math.max(1, Math.floor(actual.length / 1000));
    const worst = Array.from(actual, (_, i) => i).sort((a, b) => off(b) - off(a));
    for (const i of worst.slice(0, spared)) {
      if (off(i) <= noise) actual[i] = expected[i] ?? Number.NaN;
    }
    closeToUpdate(actual, expected, comparable(key, start.data), tolerance, `${name}: ${key}`);
  }
}

for (const name of goldenCases("ppo-trl-0.11")) {
  const { config, inputs, expected, tolerance } = readGolden<
    { readonly steps: readonly StepInputs[] },
    { readonly steps: readonly StepExpected[] },
    Config
  >(`ppo-trl-0.11/${name}.json`);
  const adapters = name.includes("peft") || !/^[\w./-]+( \(\+ v_head\.safetensors\))?$/.test(String(config.init));
  const skip = adapters && "needs adapters (LoRA), which are not there yet";
  describe(`ppo-trl-0.11/${name}`, () => {
    const near = (key: string): number => Number(tolerance[key]);
    test("two steps: episodes, metrics, mini-batches, weights", { skip }, async () => {
      const policy = await loadModel(join(goldenDir(), String(config.init).replace(/ .*/, "")));
      const reference = await loadModel(join(goldenDir(), String(config.ref).replace(/ .*/, "")));
      const hyper = Object.fromEntries(Object.entries(config).filter(([key]) => !otherKeys.has(key)));
      const trainer = await PPOTrainer.create({ policy, reference, config: hyper });
      const before = trainer.policy.params;
      let steps = 0;

      for (const [s, step] of inputs.steps.entries()) {
        const want = expected.steps[s];
        assert.ok(want);
        const at = `step ${s + 1}`;
        const rollout = await trainer.rolloutOf({
          queryIds: step.queries,
          responseIds: step.responses,
          ...(step.response_masks ? { responseMask: step.response_masks } : {}),
        });
        const scored = await trainer.score(rollout, { scores: step.scores });
        const advantaged = await trainer.advantage(scored);
        const mask = advantaged.responseMask;
        const compare = (field: keyof Advantaged & string, rows: Rows, key: string): void => {
          const value = advantaged[field] as Tensor<"float32">;
          closeTo(ours(value, mask), counting(rows, want.mask), { abs: near(key) }, `${at}: ${field}`);
        };
        compare("logprobs", want.old_logprobs, "logprobs_values_abs");
        compare("refLogprobs", want.ref_logprobs, "logprobs_values_abs");
        compare("values", want.values, "logprobs_values_abs");
        compare("kl", want.kls, "rewards_abs");
        compare("rewards", want.rewards, "rewards_abs");
        compare("advantages", want.advantages, "advantages_abs");
        compare("returns", want.returns, "advantages_abs");
        closeTo(scored.scores.data, want.scores_used, { abs: near("rewards_abs") }, `${at}: scores`);
        closeToNumber(scored.klCoef, want.kl_coef_before, { rel: near("kl_coef_rel") }, `${at}: KL coefficient`);

        const updated = await trainer.update(advantaged, { permutations: want.permutations });
        const stats = { abs: near("stats_abs"), rel: near("stats_rel") };
        assert.equal(updated.minibatches.length, want.minibatches.length, `${at}: number of mini-batches`);
        for (const [i, recorded] of want.minibatches.entries()) {
          const minibatch = updated.minibatches[i];
          assert.ok(minibatch);
          compareMinibatch(
            minibatch,
            recorded,
            want.mask,
            mask,
            stats,
            near("logprobs_values_abs"),
            `${at}, mini-batch ${i}`,
          );
        }
        for (const [metric, value] of Object.entries(want.stats)) {
          const got = updated.stats[metric];
          assert.ok(got !== undefined, `${at}: metric ${metric} is there`);
          closeTo(typeof got === "number" ? [got] : got, flat(value), stats, `${at}: ${metric}`);
        }
        for (const part of times) {
          const value = updated.stats[`time/ppo/${part}`];
          assert.ok(typeof value === "number" && value >= 0, `${at}: time/ppo/${part}`);
        }
        closeToNumber(updated.klCoef, want.kl_coef_after, { rel: near("kl_coef_rel") }, `${at}: KL coefficient after`);
        if (config.gradient_accumulation_steps === 1) {
          // Recorded after clipping, which TRL does at the very first optimizer step only.
          const clip = (norm: number, i: number): number =>
            s === 0 && i === 0 ? Math.min(norm, trainer.config.maxGradNorm ?? norm) : norm;
          const norms = updated.minibatches.map(({ gradientNorm, skipped }, i) =>
            skipped ? 0 : clip(gradientNorm, i),
          );
          closeTo(norms, want.grad_norm_at_each_optimizer_step, { abs: 5e-5, rel: 5e-4 }, `${at}: gradient norms`);
        }

        steps += updated.minibatches.filter(({ steps: taken }) => taken).length;
        const file = join(goldenDir(), "ppo-trl-0.11", `${name}.after_step${s + 1}.safetensors`);
        if (!existsSync(file)) continue;
        compareWeights(
          at,
          trainer.policy.params,
          { before, after: await readSafetensors(file) },
          { tolerance: near("weights_rel_l2_of_update"), noise: trainer.config.learningRate * steps },
        );
      }
    });
  });
}

function compareMinibatch(
  minibatch: MinibatchResult,
  recorded: RecordedMinibatch,
  recordedMask: Rows,
  mask: Tensor<"float32">,
  stats: { abs: number; rel: number },
  logprobsAbs: number,
  at: string,
): void {
  for (const [stat, value] of Object.entries(minibatch.stats)) {
    closeToNumber(value, Number(recorded[stat]), stats, `${at}: ${stat}`);
  }
  closeToNumber(minibatch.meanRatio, recorded.mean_ratio, stats, `${at}: mean ratio`);
  assert.equal(minibatch.skipped, recorded.skipped_by_ratio_guard, `${at}: skipped`);
  assert.equal(minibatch.steps, recorded.optimizer_stepped, `${at}: an optimizer step follows`);
  const columns = mask.shape[1] ?? 0;
  const rowsMask = minibatch.rows.map((row) => recordedMask[row] ?? []);
  const pick = (tensor: Tensor<"float32">): number[] =>
    Array.from(tensor.data).filter(
      (_, i) => mask.data[(minibatch.rows[Math.floor(i / columns)] ?? 0) * columns + (i % columns)] === 1,
    );
  closeTo(
    pick(minibatch.newLogprobs),
    counting(recorded.logprobs, rowsMask),
    { abs: 5 * logprobsAbs },
    `${at}: log-probs`,
  );
  closeTo(pick(minibatch.newValues), counting(recorded.vpreds, rowsMask), { abs: 5 * logprobsAbs }, `${at}: values`);
}
