import { stream } from "../../src/random.js";
import { advantagesAndReturns } from "../../src/rl/gae.js";
import { noMoments } from "../../src/rl/rewards.js";
import { float32, int32 } from "../../src/tensor.js";
import { configure } from "../../src/trainers/configure.js";
import type { Advantaged, MinibatchResult, Rollout, Scored, Updated } from "../../src/trainers/stages.js";

/** What an invented batch is made of: a prompt, its response token by token, a score, and whether it was cut. */
export interface InventedEpisode {
  readonly prompt: string;
  readonly tokens: readonly string[];
  readonly score: number;
  readonly cut?: boolean;
}

/** Six short reviews, one of them with a token that the policy has come to overuse. */
export const reviews: readonly InventedEpisode[] = [
  [
    "The plot of this film",
    " is| wonderful|,| and| the| cast| bring|s| real| warmth| to| every| scene|.| I| was| moved|.",
    0.82,
  ],
  [
    "I saw it last night and",
    " the| ending| felt| cheap|;| the| jokes| were| stale| and| the| music| was| worse|.",
    -0.74,
  ],
  ["Her second movie", " is| a| quiet|,| lovely| story| about| two| sisters| who| never| learned| to| lie|.", 0.66],
  ["The director", " wastes| a| good| script| on| slow| scenes| and| a| dull| hero|,| sadly|.", -0.51, true],
  [
    "What surprised me most",
    " was| how| funny| it| is|:| great| great| great| great| great| lines| from| start| to| finish|!",
    0.97,
  ],
  ["Nobody told me that", " the| last| hour| is| bor|ing|,| but| the| first| is| a| small| miracle|.", 0.12, true],
].map(([prompt, text, score, cut]) => ({
  prompt: prompt as string,
  tokens: (text as string).split("|"),
  score: score as number,
  cut: cut === true,
}));

/** Episodes of given sizes out of invented words, for measurements. */
export function manyEpisodes(count: number, length: number): InventedEpisode[] {
  const words = reviews.flatMap(({ tokens }) => tokens);
  const random = stream(11, "episodes", 0, 0);
  return Array.from({ length: count }, (_, b) => ({
    prompt: reviews[b % reviews.length]?.prompt ?? "",
    tokens: Array.from({ length }, () => words[Math.floor(random.uniform() * words.length)] ?? ""),
    score: random.uniform() * 2 - 1,
    cut: b % 3 === 0,
  }));
}

/** Values of all four stages over the same invented episodes; every derived number follows from the others as in PPO. */
export function inventStages(episodes: readonly InventedEpisode[] = reviews): {
  rollout: Rollout;
  scored: Scored;
  advantaged: Advantaged;
  updated: Updated;
} {
  const config = configure({ batchSize: episodes.length, miniBatchSize: 1, seed: 7 });
  const random = stream(7, "invented", 0, 0);
  const [b, t] = [episodes.length, Math.max(1, ...episodes.map(({ tokens }) => tokens.length))];
  const ids = new Map<string, number>();
  const idOf = (text: string) => {
    const id = ids.get(text) ?? 300 + ids.size;
    ids.set(text, id);
    return id;
  };
  const grid = (of: (episode: InventedEpisode, row: number, column: number) => number) => {
    const data = new Float32Array(b * t);
    episodes.forEach((episode, row) => {
      episode.tokens.forEach((_, column) => {
        data[row * t + column] = of(episode, row, column);
      });
    });
    return data;
  };
  const mask = grid(() => 1);
  const kl = grid(
    ({ tokens }, _, column) => random.normal() * 0.22 + (tokens[column]?.includes("great") ? 0.55 + column * 0.06 : 0),
  );
  const logprobs = grid(() => -Math.abs(random.normal() * 1.5) - 0.2);
  const refLogprobs = logprobs.map((x, i) => x - (kl[i] ?? 0));
  const values = grid(() => random.normal() * 0.3);
  const rewards = grid(
    ({ tokens, score }, row, column) => -0.2 * (kl[row * t + column] ?? 0) + (column === tokens.length - 1 ? score : 0),
  );
  const { advantages, returns } = advantagesAndReturns(rewards, values, mask, t, {
    gamma: config.gamma,
    gaeLambda: config.lambda,
    whitenRewards: false,
  });
  const matrix = (data: Float32Array) => float32([b, t], data);
  const responseIds = new Int32Array(b * t);
  episodes.forEach(({ tokens }, row) => {
    tokens.forEach((text, column) => {
      responseIds[row * t + column] = idOf(text);
    });
  });
  const base = {
    step: 3,
    trainer: "invented",
    config,
    parameters: "0123456789abcdef",
    prompts: episodes.map(({ prompt }) => prompt),
    responses: episodes.map(({ tokens }) => tokens.join("")),
    queryIds: episodes.map(() => [1, 2, 3]),
    responseIds: int32([b, t], responseIds),
    tokens: episodes.map(({ tokens }) => tokens),
    responseMask: matrix(mask),
    responseLengths: episodes.map(({ tokens }) => tokens.length),
    logprobs: matrix(logprobs),
    finishReasons: episodes.map(({ cut }) => (cut ? ("length" as const) : ("stop" as const))),
  };
  const scoredParts = {
    scores: float32(
      [b],
      episodes.map(({ score }) => score),
    ),
    rawScores: float32(
      [b],
      episodes.map(({ score }) => score),
    ),
    refLogprobs: matrix(refLogprobs),
    values: matrix(values),
    kl: matrix(kl),
    rewards: matrix(rewards),
    klCoef: 0.2,
    scoreMoments: noMoments,
    reference: "fedcba9876543210",
  };
  const advantagedParts = {
    advantages: matrix(advantages),
    returns: matrix(returns),
    gamma: config.gamma,
    gaeLambda: config.lambda,
  };
  const rollout: Rollout = { stage: "rollout", ...base, fingerprint: "7f3ac21e00aa11bb" };
  const scored: Scored = { stage: "scored", ...base, ...scoredParts, fingerprint: "5b20d9f300aa11bb" };
  const advantaged: Advantaged = {
    stage: "advantaged",
    ...base,
    ...scoredParts,
    ...advantagedParts,
    fingerprint: "91c4e07700aa11bb",
  };
  const newLogprobs = Array.from({ length: config.ppoEpochs }, (_, epoch) =>
    matrix(logprobs.map((x, i) => x + epoch * (0.05 * (advantages[i] ?? 0) + 0.03 * random.normal()))),
  );
  const minibatches = newLogprobs.flatMap((logs, epoch) =>
    episodes.map((_, row): MinibatchResult => {
      const part = float32([1, t], logs.data.slice(row * t, (row + 1) * t));
      return {
        epoch,
        index: row,
        rows: [row],
        policyLoss: -0.01 * epoch,
        valueLoss: 0.4 / (1 + epoch),
        totalLoss: 0.03,
        entropy: 2.1,
        approxKl: 0.002 * epoch,
        policyKl: 0.001 * epoch,
        clipFrac: 0.03 * epoch,
        valueClipFrac: 0,
        newLogprobs: part,
        newValues: float32([1, t], values.slice(row * t, (row + 1) * t)),
        ratio: part,
        meanRatio: 1 + 0.01 * epoch,
        gradientNorm: 1.2,
        gradientNorms: {},
        skipped: false,
        steps: true,
        stats: {},
      };
    }),
  );
  const updated: Updated = {
    stage: "updated",
    step: 3,
    trainer: "invented",
    stats: { "objective/kl": 1.2, "ppo/loss/policy": -0.02 },
    minibatches,
    newLogprobs,
    advantaged,
    config,
    klCoef: 0.199,
    parametersBefore: "0123456789abcdef",
    parameters: "1123456789abcdef",
    fingerprint: "c0ffee0000aa11bb",
    dryRun: false,
  };
  return { rollout, scored, advantaged, updated };
}

/** Metrics of an invented run that learns. */
export function inventRun(count: number): { step: number; stats: Record<string, number> }[] {
  const random = stream(5, "run", 0, 0);
  return Array.from({ length: count }, (_, step) => ({
    step,
    stats: {
      "ppo/mean_scores": 0.75 - 0.9 * Math.exp(-step / 12) + 0.06 * random.normal(),
      "ppo/std_scores": 0.35 + 0.03 * random.normal(),
      "objective/kl": 6 * (1 - Math.exp(-step / 15)) + 0.3 * random.normal(),
      "objective/kl_coef": 0.2 * 1.004 ** step,
      "objective/entropy": 38 - step * 0.3 + random.normal(),
      "ppo/policy/entropy": 2.2 - step * 0.015,
      "ppo/loss/policy": -0.02 + 0.01 * random.normal(),
      "ppo/loss/value": 0.3 * Math.exp(-step / 10) + 0.02 * random.uniform(),
      "ppo/loss/total": 0.03 * Math.exp(-step / 10) - 0.02 + 0.01 * random.normal(),
      "ppo/policy/clipfrac": 0.05 + 0.03 * random.uniform(),
      "ppo/val/clipfrac": 0.1 * random.uniform(),
      "ppo/policy/approxkl": 0.004 + 0.002 * random.uniform(),
      "tokens/responses_len_mean": 18 + random.normal(),
    },
  }));
}
