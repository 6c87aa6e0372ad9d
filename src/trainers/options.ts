/** What a trainer and its calls can be given. `overrides.ts` checks that they are. */
import type { Engine } from "../engine/engine.js";
import type { CausalLM } from "../models/model.js";
import type { TimelineOptions } from "../state/timeline.js";
import type { PPOConfig } from "./config.js";
import type { PPOConfigInput } from "./configure.js";
import type { Prompts } from "./prompts.js";
import type { RewardFunction, RewardValues } from "./reward.js";

/** What a trainer is made of. */
export interface PPOTrainerOptions {
  /** The model to train. It is not changed: the trainer makes new parameters. A value head is added if it has none. */
  readonly policy: CausalLM;
  /** What the KL penalty measures distance from; the policy as it begins, by default. */
  readonly reference?: CausalLM;
  /** A function, or a reward model: a sequence classifier with one label, as loadModel gives it. */
  readonly reward?: RewardFunction | CausalLM;
  /** Where `rollout()`, `step()` and `run()` take prompts from when they are given none. */
  readonly prompts?: Prompts;
  readonly config?: PPOConfigInput;
  /** What runs the numbers; onnxruntime by default. */
  readonly engine?: Engine;
  /** How much of the past is kept for `undo` and `goto`. */
  readonly history?: Pick<TimelineOptions, "memoryBytes" | "diskBytes">;
}

/** A call that can be interrupted by a signal of its own besides the running notebook cell's. */
export interface Interruptible {
  readonly signal?: AbortSignal;
}

/** Overrides of one `score` call. */
export interface ScoreOptions extends Interruptible {
  readonly reward?: RewardFunction | CausalLM;
  /** Scores instead of a reward function's. */
  readonly scores?: RewardValues;
  readonly klCoef?: number;
  readonly klPenalty?: PPOConfig["klPenalty"];
}

/** Overrides of one `advantage` call. */
export interface AdvantageOverrides {
  readonly gamma?: number;
  readonly lambda?: number;
  /** The same as `lambda`. */
  readonly gaeLambda?: number;
  readonly whitenRewards?: boolean;
  /** Rewards are made again with this coefficient. */
  readonly klCoef?: number;
}

/** Overrides of one `update` call. */
export interface UpdateOverrides extends Interruptible {
  /** Does everything but keep the result: the trainer stands where it stood. */
  readonly dryRun?: boolean;
  /** Per epoch, the order in which episodes are taken; drawn from the seed by default. */
  readonly permutations?: readonly (readonly number[])[];
  /** Other hyperparameters for this update alone. */
  readonly config?: PPOConfigInput;
}
