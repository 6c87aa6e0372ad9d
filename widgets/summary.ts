import { formatNumber } from "./channels.js";
import { clipFlags, episodeSum, type Lens } from "./lens.js";

/** A headline number of a stage value. */
export interface Fact {
  readonly name: string;
  readonly value: string;
  /** What it means, in a sentence. */
  readonly explains: string;
}

/** The few numbers that say what a stage did, for the line under the heading and for the static twins. */
export function summarize(lens: Lens): readonly Fact[] {
  const tokens = lens.mask.reduce((sum, m) => sum + m, 0);
  const column = (key: Parameters<Lens["column"]>[0], epoch?: number) => lens.column(key, epoch);
  const perToken = (values: Float32Array | undefined) =>
    values ? values.reduce((sum, x, i) => sum + (lens.mask[i] ? x : 0), 0) / Math.max(1, tokens) : Number.NaN;
  const stopped = lens.ends.filter((end) => end === "stop").length;
  switch (lens.stage) {
    case "rollout":
      return [
        fact("tokens", String(tokens), "response tokens in the batch"),
        fact("mean length", formatNumber(tokens / Math.max(1, lens.episodes), 1), "response tokens per episode"),
        fact("ended by itself", `${stopped} of ${lens.episodes}`, "episodes that ended with an end-of-sequence token"),
        fact(
          "mean log-prob",
          formatNumber(perToken(column("logprob"))),
          "nats per token; its negative estimates the policy's entropy",
        ),
      ];
    case "scored":
      return [
        ...scoreFacts(lens),
        fact(
          "KL per episode",
          `${formatNumber(meanEpisodeSum(lens, "kl"), 2)} nats`,
          "sum over an episode's tokens, mean over episodes",
        ),
        fact("mean value", formatNumber(perToken(column("value"))), "what the value head expects, over all tokens"),
      ];
    case "advantaged":
      return [
        ...scoreFacts(lens),
        fact("mean return", formatNumber(perToken(column("return"))), "the value head's target, over all tokens"),
        fact(
          "value explains",
          share(explainedVariance(lens)),
          "share of the returns' variance that the values explain; at or below 0 the value head helps nothing yet",
        ),
      ];
    case "updated": {
      const last = lens.epochs - 1;
      const clipped = clipFlags(lens, last)?.reduce((sum, x) => sum + x, 0) ?? 0;
      const losses = lens.minibatches.filter(({ skipped }) => !skipped);
      const mean = (of: (m: (typeof losses)[number]) => number) =>
        losses.reduce((sum, m) => sum + of(m), 0) / Math.max(1, losses.length);
      return [
        fact("policy loss", formatNumber(mean((m) => m.policyLoss)), "mean over the mini-batches"),
        fact(
          "value loss",
          formatNumber(mean((m) => m.valueLoss)),
          "mean over the mini-batches, before its coefficient",
        ),
        fact(
          "approx. KL",
          formatNumber(
            mean((m) => m.approxKl),
            4,
          ),
          "how far the update has moved the policy from where it wrote the responses",
        ),
        fact("clipped in the last epoch", `${clipped} of ${tokens}`, "tokens that the clip stops"),
        fact("mean score", formatNumber(meanOf(lens.scores), 2), "of the episodes that the update learned from"),
      ];
    }
  }
}

function scoreFacts(lens: Lens): Fact[] {
  const mean = meanOf(lens.scores);
  const spread = Math.sqrt(meanOf(lens.scores.map((x) => (x - mean) ** 2)));
  return [
    fact(
      "mean score",
      `${formatNumber(mean, 2)} ± ${formatNumber(spread, 2)}`,
      "over episodes, with the standard deviation",
    ),
  ];
}

function meanEpisodeSum(lens: Lens, key: "kl"): number {
  const values = lens.column(key);
  if (!values) return Number.NaN;
  let sum = 0;
  for (let b = 0; b < lens.episodes; b++) sum += episodeSum(lens, values, b);
  return sum / Math.max(1, lens.episodes);
}

function explainedVariance(lens: Lens): number {
  const values = lens.column("value");
  const returns = lens.column("return");
  if (!values || !returns) return Number.NaN;
  const kept = [...returns.keys()].filter((i) => lens.mask[i]);
  const variance = (of: (i: number) => number) => {
    const mean = kept.reduce((sum, i) => sum + of(i), 0) / kept.length;
    return kept.reduce((sum, i) => sum + (of(i) - mean) ** 2, 0) / kept.length;
  };
  return 1 - variance((i) => (returns[i] ?? 0) - (values[i] ?? 0)) / variance((i) => returns[i] ?? 0);
}

function meanOf(values: Float32Array): number {
  return values.reduce((sum, x) => sum + x, 0) / Math.max(1, values.length);
}

function share(x: number): string {
  return Number.isFinite(x) ? (x <= -10 ? "nothing" : `${formatNumber(x * 100, 0)}%`) : "–";
}

function fact(name: string, value: string, explains: string): Fact {
  return { name, value, explains };
}
