/**
 * From what a user writes to the configuration that runs: names of this project and those of TRL and LLaMA-Factory are
 * accepted, unknown ones answered with the nearest known, values checked, defaults filled in from the dialect.
 */
import { z } from "zod";
import { nearest } from "../nearest.js";
import type { PPOConfig } from "./config.js";

/** A configuration as a user writes it: any part of {@link PPOConfig}, also under the names of TRL and LLaMA-Factory. */
export type PPOConfigInput = { readonly [K in keyof PPOConfig]?: PPOConfig[K] } & Readonly<Record<string, unknown>>;

/** Defaults of `trl-0.11`: `PPOConfig` of TRL 0.11.4, where it has the key. */
const trl011: PPOConfig = Object.freeze({
  dialect: "trl-0.11",
  batchSize: 128,
  miniBatchSize: 128,
  gradientAccumulationSteps: 1,
  ppoEpochs: 4,
  learningRate: 1.41e-5,
  maxGradNorm: null,
  klCoef: 0.2,
  klPenalty: "kl",
  adaptiveKl: true,
  klTarget: 6,
  klHorizon: 10_000,
  cliprange: 0.2,
  cliprangeValue: 0.2,
  vfCoef: 0.1,
  gamma: 1,
  lambda: 0.95,
  whitenRewards: false,
  useScoreScaling: false,
  useScoreNorm: false,
  scoreClip: null,
  earlyStopping: false,
  targetKl: 1,
  ratioThreshold: 10,
  maxNewTokens: 32,
  minNewTokens: 0,
  temperature: 1,
  topK: 0,
  topP: 1,
  stopTokens: Object.freeze([]),
  seed: 0,
  paddingSide: "right",
  paddedPositions: true,
  clipGradOnce: true,
  whitenPadding: true,
  adamBeta1: 0.9,
  adamBeta2: 0.999,
  adamEpsilon: 1e-8,
  weightDecay: 0,
} as const);

const count = z.int().min(1);
const positive = z.number().positive();
const fraction = z.number().min(0).max(1);

const schema: z.ZodType<PPOConfig> = z.strictObject({
  dialect: z.literal("trl-0.11"),
  batchSize: count,
  miniBatchSize: count,
  gradientAccumulationSteps: count,
  ppoEpochs: count,
  learningRate: z.number().min(0),
  maxGradNorm: positive.nullable(),
  klCoef: z.number(),
  klPenalty: z.enum(["kl", "abs", "mse", "full"]),
  adaptiveKl: z.boolean(),
  klTarget: positive,
  klHorizon: positive,
  cliprange: z.number().min(0),
  cliprangeValue: z.number().min(0),
  vfCoef: z.number().min(0),
  gamma: fraction,
  lambda: fraction,
  whitenRewards: z.boolean(),
  useScoreScaling: z.boolean(),
  useScoreNorm: z.boolean(),
  scoreClip: positive.nullable(),
  earlyStopping: z.boolean(),
  targetKl: positive,
  ratioThreshold: positive,
  maxNewTokens: count,
  minNewTokens: z.int().min(0),
  temperature: z.number().min(0),
  topK: z.int().min(0),
  topP: fraction,
  stopTokens: z.array(z.union([z.string(), z.int().min(0)])),
  seed: z.int().min(0),
  paddingSide: z.enum(["left", "right"]),
  paddedPositions: z.boolean(),
  clipGradOnce: z.boolean(),
  whitenPadding: z.boolean(),
  adamBeta1: fraction,
  adamBeta2: fraction,
  adamEpsilon: positive,
  weightDecay: z.number().min(0),
});

/** Names that TRL and LLaMA-Factory users know, where they are not ours in snake_case. */
const aliases: ReadonlyMap<string, keyof PPOConfig> = new Map([
  ["init_kl_coef", "klCoef"],
  ["adap_kl_ctrl", "adaptiveKl"],
  ["target", "klTarget"],
  ["ppo_target", "klTarget"],
  ["horizon", "klHorizon"],
  ["lam", "lambda"],
  ["gaeLambda", "lambda"],
  ["gae_lambda", "lambda"],
  ["clip_range", "cliprange"],
  ["clipRange", "cliprange"],
  ["clip_range_value", "cliprangeValue"],
  ["clipRangeValue", "cliprangeValue"],
  ["num_ppo_epochs", "ppoEpochs"],
  ["ppo_whiten_rewards", "whitenRewards"],
  ["ppo_score_norm", "useScoreNorm"],
  ["max_length", "maxNewTokens"],
  ["response_length", "maxNewTokens"],
  ["min_length", "minNewTokens"],
  ["adam_beta1", "adamBeta1"],
  ["adam_beta2", "adamBeta2"],
] as const);

const snake = (key: string): string => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

const names: ReadonlyMap<string, keyof PPOConfig> = new Map([
  ...(Object.keys(trl011) as (keyof PPOConfig)[]).flatMap((key): [string, keyof PPOConfig][] => [
    [key, key],
    [snake(key), key],
  ]),
  ...aliases,
]);

/** Whether a configuration may have a key, under this or another name. */
export const isConfigKey = (key: string): boolean => names.has(key);

/** What is wrong with a configuration; `key` names where. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  constructor(
    readonly key: string,
    message: string,
  ) {
    super(`${key === "" ? "config" : `config.${key}`}: ${message}`);
  }
}

const show = (value: unknown): string => (typeof value === "string" ? JSON.stringify(value) : String(value));

/**
 * Checks and completes a configuration. A batch given without a mini-batch is trained on in one piece.
 * @param base what keys that are not given are taken from: the dialect's defaults, or a trainer's own when it is forked
 * @throws ConfigError for an unknown key (with the nearest known one), a value out of range, a key given twice under
 * two names, or sizes that do not divide.
 */
export function configure(input: PPOConfigInput = {}, base: PPOConfig = trl011): PPOConfig {
  if (typeof input !== "object" || input === null || Array.isArray(input)) {
    throw new ConfigError(
      "",
      `${show(input)} is no configuration; expected an object, such as { batchSize: 16, seed: 7 }`,
    );
  }
  const given = new Map<keyof PPOConfig, { readonly key: string; readonly value: unknown }>();
  for (const [key, value] of Object.entries(input)) {
    if (value === undefined) continue;
    const name = names.get(key);
    if (name === undefined) {
      const guess = nearest(key, names.keys());
      const hint = guess === undefined ? `Known keys: ${Object.keys(trl011).join(", ")}` : `Did you mean "${guess}"?`;
      throw new ConfigError(key, `unknown key. ${hint}`);
    }
    const other = given.get(name);
    if (other !== undefined && !Object.is(other.value, value)) {
      throw new ConfigError(
        key,
        `${show(value)}, but "${other.key}" is the same setting and says ${show(other.value)}; give one of them`,
      );
    }
    given.set(name, { key, value });
  }
  if (given.has("dialect") && given.get("dialect")?.value !== "trl-0.11") {
    throw new ConfigError("dialect", `${show(given.get("dialect")?.value)} is not known; use "trl-0.11"`);
  }

  const values = { ...base, ...Object.fromEntries([...given].map(([name, { value }]) => [name, value])) };
  const accumulation = values.gradientAccumulationSteps;
  if (given.has("batchSize") && !given.has("miniBatchSize")) {
    values.miniBatchSize = Math.max(1, Math.floor(Number(values.batchSize) / Number(accumulation)));
  }
  const parsed = schema.safeParse(values);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const name = String(issue?.path[0] ?? "");
    const key = given.get(name as keyof PPOConfig)?.key ?? name;
    throw new ConfigError(key, `${show((values as Record<string, unknown>)[name])} will not do: ${issue?.message}`);
  }
  const config = parsed.data;

  const perStep = config.miniBatchSize * config.gradientAccumulationSteps;
  if (config.batchSize % perStep !== 0) {
    throw new ConfigError(
      "batchSize",
      `${config.batchSize} is not a multiple of miniBatchSize x gradientAccumulationSteps = ${config.miniBatchSize} x ${config.gradientAccumulationSteps} = ${perStep}`,
    );
  }
  if (config.minNewTokens > config.maxNewTokens) {
    throw new ConfigError("minNewTokens", `${config.minNewTokens} is more than maxNewTokens = ${config.maxNewTokens}`);
  }
  if (config.useScoreNorm && !config.useScoreScaling) {
    throw new ConfigError("useScoreNorm", "has an effect only with useScoreScaling: true; set that too");
  }
  return Object.freeze({ ...config, stopTokens: Object.freeze([...config.stopTokens]) });
}
