import vaderSentiment from "vader-sentiment";
import type { Episodes, RewardContext, RewardFunction } from "../trainers/reward.js";

export { rewardModel as model } from "./rewardModel.js";

/** A reward that needs only some of what a {@link RewardFunction} sees, and gives one number per episode at once. */
export type SimpleReward<Needs extends keyof Episodes> = (episodes: Pick<Episodes, Needs>) => number[];

/** Options of {@link vader}. */
export interface VaderOptions {
  /** What is judged: the response alone (default), or the prompt and the response as one text. */
  readonly text?: "response" | "prompt+response";
}

/**
 * The sentiment of each response by VADER (Hutto and Gilbert 2014, a rule-based judge with a lexicon): its compound score,
 * from -1 (most negative) to 1 (most positive). An empty response scores 0. By default the prompt is not judged.
 */
export function vader({ text = "response" }: VaderOptions = {}): SimpleReward<"prompts" | "responses"> {
  const judge: SimpleReward<"prompts" | "responses"> = ({ prompts, responses }) =>
    responses.map((response, i) => {
      const judged = text === "response" ? response : (prompts[i] ?? "") + response;
      return judged.trim() === "" ? 0 : vaderSentiment.SentimentIntensityAnalyzer.polarity_scores(judged).compound;
    });
  return named(judge, text === "response" ? "vader" : "vader(prompt+response)");
}

/** Options of {@link length}. */
export interface LengthOptions {
  /** The number of response tokens that scores best. */
  readonly target: number;
}

/** Minus the distance of a response's length from a target, as a part of the target: 0 at the target, -1 for an empty response. */
export function length({ target }: LengthOptions): SimpleReward<"responseIds"> {
  if (!(target > 0))
    throw new RangeError(`the target of rewards.length is ${target}: expected a positive number of tokens`);
  return named(
    ({ responseIds }) => responseIds.map((ids) => -Math.abs(ids.length - target) / target),
    `length(${target})`,
  );
}

/** The weighted sum of other rewards, each of which gives one number per episode. */
export function sum(
  parts: readonly (readonly [reward: RewardFunction, weight: number])[],
): (episodes: Episodes, context: RewardContext) => Promise<number[]> {
  const name = parts.map(([reward, weight]) => `${weight} ${reward.name}`).join(" + ");
  const total = async (episodes: Episodes, context: RewardContext): Promise<number[]> => {
    const totals = episodes.responses.map(() => 0);
    for (const [reward, weight] of parts) {
      const values: ArrayLike<unknown> = await reward(episodes, context);
      if (values.length !== totals.length || typeof values[0] !== "number") {
        throw new TypeError(
          `rewards.sum: ${reward.name || "a part"} gave ${values.length} values for ${totals.length} episodes: expected one number each`,
        );
      }
      for (let i = 0; i < totals.length; i++) totals[i] = (totals[i] ?? 0) + weight * Number(values[i]);
    }
    return totals;
  };
  return named(total, name);
}

function named<F extends (...args: never[]) => unknown>(reward: F, name: string): F {
  return Object.defineProperty(reward, "name", { value: name });
}
