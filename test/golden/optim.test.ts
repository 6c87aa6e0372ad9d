import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type AdamState, adam, adamW } from "../../src/optim/adam.js";
import { clipByGlobalNorm, decays, type Gradients, globalNorm, type Optimizer } from "../../src/optim/optimizer.js";
import { type ScheduleOptions, schedule, warmupSteps } from "../../src/optim/schedules.js";
import { type SgdState, sgd } from "../../src/optim/sgd.js";
import { float32, type Params } from "../../src/tensor.js";
import { closeTo, flat, goldenCases, type Nested, readGolden, shapeOf } from "../helpers/golden.js";

interface Trajectory {
  readonly params_after_each_step: readonly (readonly Nested[])[];
  readonly lr_used: readonly number[];
  readonly grad_norm_before_clip: readonly number[];
  readonly state: Readonly<Record<string, readonly Nested[]>>;
}
interface Run {
  readonly kind: "Adam" | "AdamW" | "SGD";
  readonly lr: number;
  readonly weight_decay?: number;
  readonly eps?: number;
  readonly betas?: readonly [number, number];
  readonly amsgrad?: boolean;
  readonly groups?: boolean;
  readonly max_grad_norm?: number;
  readonly accumulate?: number;
  readonly none_grad_tensor?: number;
  readonly momentum?: number;
  readonly nesterov?: boolean;
}

const named = (tensors: readonly Nested[]): Params =>
  new Map(tensors.map((nested, i) => [String(i), float32(shapeOf(nested), flat(nested))]));

function optimizerOf(run: Run): Optimizer<AdamState> | Optimizer<SgdState> {
  if (run.kind === "SGD") {
    return sgd({
      learningRate: run.lr,
      momentum: run.momentum ?? 0,
      nesterov: run.nesterov ?? false,
      weightDecay: run.weight_decay ?? 0,
    });
  }
  return (run.kind === "Adam" ? adam : adamW)({
    learningRate: run.lr,
    ...(run.betas === undefined ? {} : { beta1: run.betas[0], beta2: run.betas[1] }),
    ...(run.eps === undefined ? {} : { epsilon: run.eps }),
    ...(run.weight_decay === undefined ? {} : { weightDecay: run.weight_decay }),
    amsgrad: run.amsgrad ?? false,
    ...(run.groups === true ? { decays: (name: string) => name !== "1" } : {}),
  });
}

interface Trajectories {
  readonly params: readonly Nested[];
  readonly grads_per_step: readonly (readonly Nested[])[];
}

function follow<S>(optimizer: Optimizer<S>, run: Run, inputs: Trajectories, expected: Trajectory): S {
  const every = run.accumulate ?? 1;
  let params = named(inputs.params);
  let state = optimizer.init(params);
  for (const [step, after] of expected.params_after_each_step.entries()) {
    const sets = inputs.grads_per_step.slice(step * every, (step + 1) * every).map(named);
    const sum = new Map(
      [...params].map(([name, param]) => {
        const data = Float32Array.from(param.data, (_, i) =>
          sets.reduce((total, set) => total + (set.get(name)?.data[i] ?? 0) / every, 0),
        );
        return [name, float32(param.shape, data)];
      }),
    );
    if (run.none_grad_tensor !== undefined) sum.delete(String(run.none_grad_tensor));
    let gradients: Gradients = { tensors: sum, scale: 1 };
    if (run.max_grad_norm !== undefined) {
      closeTo([globalNorm(gradients)], [expected.grad_norm_before_clip[step] ?? Number.NaN], { rel: 1e-5 }, "norm");
      gradients = clipByGlobalNorm(gradients, run.max_grad_norm);
    }
    const learningRate = expected.lr_used[step];
    assert.ok(learningRate !== undefined);
    ({ params, state } = optimizer.update(gradients, state, params, { learningRate }));
    for (const [name, want] of named(after)) {
      closeTo(params.get(name)?.data ?? [], want.data, { abs: 2e-6, rel: 1e-6 }, `tensor ${name}, step ${step}`);
    }
  }
  return state;
}

const stems = new Set(goldenCases("optim"));

describe("optim/trajectories", { skip: !stems.has("trajectories") && "no such golden file" }, () => {
  const golden = readGolden<Trajectories, Record<string, Trajectory>, Record<string, Run>>("optim/trajectories.json");
  for (const [name, run] of Object.entries(golden.config)) {
    test(name, () => {
      const expected = golden.expected[name];
      assert.ok(expected);
      const optimizer = optimizerOf(run);
      const state =
        run.kind === "SGD"
          ? follow(optimizer as Optimizer<SgdState>, run, golden.inputs, expected)
          : follow(optimizer as Optimizer<AdamState>, run, golden.inputs, expected);
      const moments = { exp_avg: "m", exp_avg_sq: "v", max_exp_avg_sq: "vMax", momentum_buffer: "momentum" };
      for (const [theirs, ours] of Object.entries(moments)) {
        const want = expected.state[theirs];
        if (want === undefined) continue;
        const got = (state as unknown as Record<string, Params>)[ours];
        for (const [i, tensor] of want.entries()) {
          if (tensor === null) continue;
          closeTo(got?.get(String(i))?.data ?? [], flat(tensor), { abs: 2e-6, rel: 1e-6 }, `${theirs} ${i}`);
        }
      }
    });
  }
});

describe("optim/schedulers", { skip: !stems.has("schedulers") && "no such golden file" }, () => {
  interface Recorded {
    readonly name: ScheduleOptions["name"];
    readonly warmup_steps: number;
    readonly total_steps: number;
    readonly base_lr: number;
    readonly kwargs: Readonly<Record<string, number | string>> | null;
  }
  const golden = readGolden<
    unknown,
    { readonly lr: Record<string, number[]>; readonly warmup_steps_from_ratio: Record<string, number> },
    Record<string, Recorded>
  >("optim/schedulers.json");
  const camel = (key: string): string => key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  for (const [name, recorded] of Object.entries(golden.config)) {
    test(name, () => {
      const kwargs = Object.fromEntries(
        Object.entries(recorded.kwargs ?? {}).map(([key, value]) => [camel(key), value]),
      );
      const lr = schedule({
        name: recorded.name,
        baseLr: recorded.base_lr,
        warmupSteps: recorded.warmup_steps,
        totalSteps: recorded.total_steps,
        ...kwargs,
      });
      const expected = golden.expected.lr[name] ?? [];
      closeTo(
        expected.map((_, t) => lr(t)),
        expected,
        { rel: 1e-9, abs: 1e-18 },
        name,
      );
    });
  }
  test("warm-up steps from a ratio", () => {
    for (const [key, steps] of Object.entries(golden.expected.warmup_steps_from_ratio)) {
      const [ratio, total] = key.split("/").map(Number);
      assert.equal(warmupSteps(ratio ?? 0, total ?? 0), steps, key);
    }
  });
});

describe("optim/decay_groups", { skip: !stems.has("decay_groups") && "no such golden file" }, () => {
  const golden = readGolden<unknown, Record<string, { decay: string[]; no_decay: string[] }>>(
    "optim/decay_groups.json",
  );
  for (const [model, groups] of Object.entries(golden.expected)) {
    test(model, () => {
      for (const name of groups.decay) assert.equal(decays(name), true, name);
      for (const name of groups.no_decay) assert.equal(decays(name), false, name);
    });
  }
});
