import { showable } from "../display.js";
import { fingerprint, fingerprintText } from "../fingerprint.js";
import { nearest } from "../nearest.js";
import { type Tensor, tensor } from "../tensor.js";
import { TrainerError } from "./errors.js";
import type { Advantaged, PPOConfig, PPOStage, Rollout, Scored, StageValue } from "./stages.js";
import { stageText } from "./stageText.js";

/** Fields that say where a value comes from, not what it is: left out of its fingerprint. */
const provenance = new Set(["trainer", "fingerprint", "stale", "minibatches", "newLogprobs", "advantaged", "dryRun"]);

const isTensor = (value: unknown): value is Tensor =>
  typeof value === "object" && value !== null && "dtype" in value && "data" in value;

/** Fingerprint of what a stage value says: every tensor and every plain field, seconds left out. */
export function stageFingerprint(value: object): string {
  const tensors = new Map<string, Tensor>();
  const plain: [string, unknown][] = [];
  for (const [name, field] of Object.entries(value)) {
    if (provenance.has(name) || field === undefined) continue;
    // A fresh tensor around the same data: fingerprints of tensors are remembered, and the data may have been changed.
    if (isTensor(field)) tensors.set(name, tensor(field.dtype, field.shape, field.data));
    else plain.push([name, name === "stats" ? withoutTimes(field as object) : field]);
  }
  plain.sort(([a], [b]) => (a < b ? -1 : 1));
  return fingerprintText(`${fingerprint(tensors)} ${JSON.stringify(plain)}`);
}

function withoutTimes(stats: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(stats).filter(([name]) => !name.startsWith("time/")));
}

/** A finished stage value: with its fingerprint, able to show itself, frozen. */
export function seal<T extends PPOStage>(value: Omit<T, "fingerprint">): T {
  const sealed = { ...value, fingerprint: stageFingerprint(value) } as unknown as T;
  return Object.freeze(showable(sealed, (shown, ink) => stageText(shown, ink)));
}

interface StageOf {
  readonly rollout: Rollout;
  readonly scored: Scored;
  readonly advantaged: Advantaged;
}

const makers: Readonly<Record<string, string>> = {
  rollout: "trainer.rollout()",
  scored: "trainer.score(rollout)",
  advantaged: "trainer.advantage(scored)",
  updated: "trainer.update(advantaged)",
};

/**
 * Checks that a value is what a call needs: of the right stage, of this trainer or one it was forked from, and as it
 * was when it was made.
 * @param lineage identities of the trainer and those it was forked from, with their configurations
 * @throws TrainerError naming what is wrong and what to pass instead.
 */
export function checkStage<S extends keyof StageOf>(
  value: unknown,
  stage: S,
  call: string,
  lineage: ReadonlyMap<string, PPOConfig>,
): StageOf[S] {
  const wanted = `${call} needs the value of ${makers[stage]}`;
  if (typeof value !== "object" || value === null || !("stage" in value)) {
    const hint = value instanceof Promise ? "; this is a promise of one: put await before the call that makes it" : "";
    throw new TrainerError(`${wanted}, not ${describe(value)}${hint}`);
  }
  if (value.stage !== stage) {
    const known = typeof value.stage === "string" && value.stage in makers;
    const guess = known ? undefined : nearest(String(value.stage), Object.keys(makers));
    const what = known ? `the value of ${makers[String(value.stage)]}` : `stage ${JSON.stringify(value.stage)}`;
    throw new TrainerError(`${wanted}; this is ${what}${guess === undefined ? "" : ` (did you mean "${guess}"?)`}`);
  }
  const found = value as StageOf[S] & StageValue;
  const config = lineage.get(found.trainer);
  if (config === undefined) {
    throw new TrainerError(
      `${call}: this ${stage} value was made by another trainer (${found.trainer}); make one with this trainer: ${makers[stage]}`,
    );
  }
  if (JSON.stringify(found.config) !== JSON.stringify(config)) {
    const changed = (Object.keys(config) as (keyof PPOConfig)[])
      .filter((key) => JSON.stringify(found.config?.[key]) !== JSON.stringify(config[key]))
      .map((key) => `${key}: ${JSON.stringify(found.config?.[key])} instead of ${JSON.stringify(config[key])}`);
    throw new TrainerError(
      `${call}: the configuration inside this value was changed (${changed.join(", ")}); pass overrides as arguments, or make another trainer with trainer.fork({ config })`,
    );
  }
  if (stageFingerprint(found) !== found.fingerprint) {
    throw new TrainerError(
      `${call}: numbers inside this ${stage} value were changed after it was made (its fingerprint no longer fits); values stay as they are, pass overrides as arguments`,
    );
  }
  return found;
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  return Array.isArray(value) ? "an array" : `a value of type ${typeof value}`;
}
