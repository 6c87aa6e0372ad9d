import { type RunningMoments, scaleScores } from "../rl/rewards.js";
import { float32 } from "../tensor.js";
import type { PPOConfig } from "./config.js";
import { TrainerError } from "./errors.js";
import type { Episodes, RewardFunction } from "./reward.js";

/** What a reward function gave, checked: one score per episode, and one per token where it judged tokens. */
export interface Judgement {
  /** [B] */
  readonly scores: readonly number[];
  /** One list per episode */
  readonly tokenScores?: readonly (readonly number[])[];
}

/** A promise's result, or the signal's reason as soon as it is aborted: the caller stops waiting, not the work. */
function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

const nameOf = (reward: RewardFunction): string =>
  reward.name === "" ? "the reward function" : `reward "${reward.name}"`;

const shown = (value: unknown): string => (typeof value === "string" ? JSON.stringify(value) : String(value));

const isList = (value: unknown): value is ArrayLike<unknown> =>
  Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));

/**
 * Asks a reward function about episodes, and checks its answer.
 * @throws TrainerError naming the function and the episode, if it throws, gives the wrong number of values, or a value
 * that is not a finite number; the signal's reason if that is aborted first.
 */
export async function judge(reward: RewardFunction, episodes: Episodes, signal: AbortSignal): Promise<Judgement> {
  const name = nameOf(reward);
  let values: unknown;
  try {
    values = await orAborted(Promise.resolve(reward(episodes, { signal })), signal);
  } catch (cause) {
    if (signal.aborted) throw signal.reason;
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new TrainerError(`${name} threw: ${message}. The trainer stands as before; mend the reward and score again`, {
      cause,
    });
  }
  return checkScores(
    values,
    episodes.responseIds.map(({ length }) => length),
    name,
    episodes.responses,
  );
}

/**
 * Checks scores that came from outside.
 * @param lengths response tokens of each episode
 */
export function checkScores(
  values: unknown,
  lengths: readonly number[],
  name: string,
  responses: readonly string[] = [],
): Judgement {
  const count = lengths.length;
  const expected = `one finite number per episode (${count}), or one list per episode with a number for each of its tokens`;
  if (!isList(values)) {
    const what = values === null ? "null" : typeof values;
    const hint = what === "function" ? "; it makes a reward and is none: call it, as in rewards.vader()" : "";
    throw new TrainerError(`${name} gave ${what}; expected ${expected}${hint}`);
  }
  if (values.length !== count) {
    throw new TrainerError(`${name} gave ${values.length} values for ${count} episodes; expected ${expected}`);
  }
  const finite = (value: unknown, where: string): number => {
    if (typeof value === "number" && Number.isFinite(value)) return value;
    throw new TrainerError(`${name} gave ${shown(value)} for ${where}; expected a finite number`);
  };
  const about = (row: number): string =>
    `episode ${row}${responses[row] === undefined ? "" : ` (${JSON.stringify(responses[row].slice(0, 60))})`}`;
  const first = values[0];
  if (!isList(first)) return { scores: Array.from(values, (value, row) => finite(value, about(row))) };
  const tokenScores = Array.from(values, (list, row) => {
    if (!isList(list) || list.length !== lengths[row]) {
      const what = isList(list) ? `${list.length} values` : String(list);
      throw new TrainerError(
        `${name} gave ${what} for the ${lengths[row]} tokens of ${about(row)}; expected ${expected}`,
      );
    }
    return Array.from(list, (value, t) => finite(value, `token ${t} of ${about(row)}`));
  });
  return { scores: tokenScores.map((list) => list.reduce((sum, value) => sum + value, 0)), tokenScores };
}

/**
 * Scores as they enter the rewards: scaled and clipped as configured.
 * @param moments of all scores so far
 * @param columns T, the longest response
 * @throws TrainerError when a scaled score is not finite, or the configuration is not for one score per token.
 */
export function scaledJudgement(
  { scores: raw, tokenScores: rawTokens }: Judgement,
  moments: RunningMoments,
  columns: number,
  config: PPOConfig,
) {
  const scaled = scaleScores(raw, moments, config);
  const bad = scaled.scores.findIndex((score) => !Number.isFinite(score));
  if (bad >= 0) {
    throw new TrainerError(
      `score: the score of episode ${bad} is ${raw[bad]} and becomes ${scaled.scores[bad]} after scaling; useScoreScaling needs at least two different scores`,
    );
  }
  if (rawTokens === undefined) return { ...scaled, tokenScores: undefined };
  if (config.useScoreNorm || config.scoreClip !== null) {
    throw new TrainerError(
      "score: useScoreNorm and scoreClip are for one score per episode, and the reward judges tokens; set them off",
    );
  }
  const divisor = config.useScoreScaling ? scaled.moments.std + 2 ** -23 : 1;
  const tokenScores = new Float32Array(raw.length * columns);
  for (const [row, list] of rawTokens.entries()) {
    for (const [t, score] of list.entries()) tokenScores[row * columns + t] = score / divisor;
  }
  return { ...scaled, tokenScores: float32([raw.length, columns], tokenScores) };
}
