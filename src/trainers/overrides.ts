/** What a trainer's calls are given besides their values, checked before anything else is done with it. */
import { z } from "zod";
import type { CausalLM } from "../models/model.js";
import { nearest } from "../nearest.js";
import { rewardModel } from "../rewards/rewardModel.js";
import { TrainerError } from "./errors.js";
import type { RewardFunction } from "./reward.js";

const signal = z.instanceof(AbortSignal, { error: "expected an AbortSignal" }).optional();
const finite = z.number({ error: "expected a finite number" }).optional();
const fraction = z
  .number({ error: "expected a number from 0 to 1" })
  .min(0, "expected a number from 0 to 1")
  .max(1, "expected a number from 0 to 1")
  .optional();
const flag = z.boolean({ error: "expected true or false" }).optional();
// Checked where they are used.
const anything = z.unknown().optional();

/** The options of every call that has some. */
const known = {
  "PPOTrainer.create": {
    policy: anything,
    reference: anything,
    reward: anything,
    prompts: anything,
    config: anything,
    engine: anything,
    history: anything,
  },
  "PPOTrainer.resume": {
    reward: anything,
    prompts: anything,
    config: anything,
    engine: anything,
    history: anything,
  },
  rollout: { signal },
  rolloutOf: { signal },
  score: {
    signal,
    reward: anything,
    scores: anything,
    klCoef: finite,
    klPenalty: z.enum(["kl", "abs", "mse", "full"], { error: 'expected "kl", "abs", "mse" or "full"' }).optional(),
  },
  advantage: { gamma: fraction, lambda: fraction, gaeLambda: fraction, whitenRewards: flag, klCoef: finite },
  update: { signal, dryRun: flag, permutations: anything, config: anything },
  minibatches: { signal, dryRun: flag, permutations: anything, config: anything },
  step: { signal },
  run: {
    signal,
    prompts: anything,
    steps: z
      .custom<number>(
        (value) => value === Number.POSITIVE_INFINITY || (Number.isInteger(value) && Number(value) >= 0),
        {
          error: "expected a whole number of steps",
        },
      )
      .optional(),
  },
  fork: { config: anything, reward: anything },
  save: { signal },
} as const;

/**
 * Checks the options of a call: an object with known keys and values of the right kind.
 * @throws TrainerError naming the call, the key and its value, and what was expected (for an unknown key, the nearest).
 */
export function checkOptions(call: keyof typeof known, options: unknown): void {
  const keys: Readonly<Record<string, z.ZodType>> = known[call];
  const names = Object.keys(keys);
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new TrainerError(
      `${call}: its options are ${describe(options)}; expected an object, such as { ${names[0]}: … } (options: ${names.join(", ")})`,
    );
  }
  for (const [name, value] of Object.entries(options)) {
    const kind = Object.hasOwn(keys, name) ? keys[name] : undefined;
    if (kind === undefined) {
      const guess = nearest(name, names);
      throw new TrainerError(
        `${call}: unknown option ${JSON.stringify(name)}. ${guess === undefined ? "" : `Did you mean "${guess}"? `}Its options are ${names.join(", ")}`,
      );
    }
    const parsed = kind.safeParse(value);
    if (parsed.success) continue;
    throw new TrainerError(`${call}: ${name} is ${describe(value)}; ${parsed.error.issues[0]?.message}`);
  }
}

/**
 * A reward as a user gives it, a function or a reward model, as a function.
 * @throws TrainerError for anything else.
 */
export function rewardFunctionOf(reward: unknown, call: string): RewardFunction | undefined {
  if (reward === undefined || typeof reward === "function") return reward as RewardFunction | undefined;
  if (typeof reward === "object" && reward !== null && "kind" in reward) {
    if (reward.kind === "reward") return rewardModel(reward as CausalLM);
    throw new TrainerError(
      `${call}: reward is a language model, which gives no scores; expected a function, or a sequence classifier with one label as loadModel gives it`,
    );
  }
  const hint = reward instanceof Promise ? "; put await before the call that makes it" : "";
  throw new TrainerError(
    `${call}: reward is ${describe(reward)}; expected a function such as rewards.vader(), or a reward model as loadModel gives it${hint}`,
  );
}

/** A value in a few words. */
export function describe(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 60 ? `${value.slice(0, 59)}…` : value);
  if (Array.isArray(value)) return "an array";
  if (typeof value === "function") return "a function";
  if (value instanceof Promise) return "a promise";
  return typeof value === "object" && value !== null ? "an object" : String(value);
}
