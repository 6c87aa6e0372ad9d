import type { Advantaged, PPOStage, Rollout, Scored } from "../src/trainers/stages.js";
import type { ChannelKey } from "./channels.js";

/** One row of the mini-batch table of an update. */
export interface LensMinibatch {
  readonly epoch: number;
  readonly index: number;
  readonly rows: readonly number[];
  readonly policyLoss: number;
  readonly valueLoss: number;
  readonly approxKl: number;
  readonly clipFrac: number;
  readonly meanRatio: number;
  readonly gradientNorm: number;
  readonly entropy: number;
  readonly skipped: boolean;
}

/** The part of a lens that travels as JSON. */
export interface LensHeader {
  readonly stage: PPOStage["stage"];
  readonly step: number;
  readonly fingerprint: string;
  /** In words, when the value comes from older parameters than its trainer's. */
  readonly stale?: string;
  readonly dryRun?: boolean;
  /** Settings that the numbers depend on, as they are shown. */
  readonly settings: readonly (readonly [string, number | string])[];
  readonly clipRange: number;
  readonly gamma: number;
  readonly gaeLambda: number;
  /** Prompt texts, B of them. */
  readonly prompts: readonly string[];
  readonly ends: readonly ("stop" | "length")[];
  /** Each different token of the batch once: its id and its text. */
  readonly vocabulary: readonly (readonly [number, string])[];
  /** What the float channels are, in order; `ratio` and `newLogprob` come once per epoch. */
  readonly columns: readonly (readonly [ChannelKey, number])[];
  readonly epochs: number;
  readonly minibatches: readonly LensMinibatch[];
  /** Numbers of an update in the names of its dialect. */
  readonly stats: Readonly<Record<string, number>>;
  /** Whether the kernel can say what else could have come at a position. */
  readonly alternatives: boolean;
}

/** A batch of episodes with every number of every token, as the views and the static twins draw it. */
export interface Lens extends LensHeader {
  /** B */
  readonly episodes: number;
  /** [B + 1] where each episode's tokens begin among all N. */
  readonly offsets: Int32Array;
  /** [N] index into `vocabulary`. */
  readonly pieces: Int32Array;
  /** [N] 1 where a token counts. */
  readonly mask: Uint8Array;
  /** [B], empty before scoring. */
  readonly scores: Float32Array;
  /** The numbers of a channel, [N]; `epoch` counts for the channels of an update. Undefined when the stage has none yet. */
  column(key: ChannelKey, epoch?: number): Float32Array | undefined;
  /** The episode of a token. */
  episodeOf(token: number): number;
  /** A token's own text. */
  textOf(token: number): string;
}

/** The binary keys of a lens's widget state. */
export interface LensBuffers {
  readonly offsets: Int32Array;
  readonly pieces: Int32Array;
  readonly mask: Uint8Array;
  readonly scores: Float32Array;
  /** [C, N], in the order of `columns`. */
  readonly channels: Float32Array;
}

/**
 * Packs a stage value: the padding is left out, each different token's text is kept once, and all numbers of all
 * channels are one float32 array, 4 bytes per number.
 */
export function packLens(value: PPOStage, alternatives = false): { header: LensHeader; buffers: LensBuffers } {
  const batch = value.stage === "updated" ? value.advantaged : value;
  const offsets = new Int32Array(batch.tokens.length + 1);
  batch.tokens.forEach((tokens, b) => {
    offsets[b + 1] = (offsets[b] ?? 0) + tokens.length;
  });
  const total = offsets[batch.tokens.length] ?? 0;
  const width = batch.responseIds.shape[1] ?? 0;
  const ragged = <T extends Float32Array | Int32Array | Uint8Array>(from: ArrayLike<number>, to: T, at = 0): T => {
    for (let b = 0; b < batch.tokens.length; b++) {
      const start = offsets[b] ?? 0;
      const length = (offsets[b + 1] ?? 0) - start;
      for (let t = 0; t < length; t++) to[at + start + t] = from[b * width + t] ?? Number.NaN;
    }
    return to;
  };

  const vocabulary: [number, string][] = [];
  const pieces = new Int32Array(total);
  const known = new Map<string, number>();
  batch.tokens.forEach((tokens, b) => {
    tokens.forEach((text, t) => {
      const id = batch.responseIds.data[b * width + t] ?? -1;
      const key = `${id}:${text}`;
      let piece = known.get(key);
      if (piece === undefined) {
        piece = vocabulary.push([id, text]) - 1;
        known.set(key, piece);
      }
      pieces[(offsets[b] ?? 0) + t] = piece;
    });
  });

  const sources = columnsOf(value);
  const packed = new Float32Array(sources.length * total);
  sources.forEach(({ data }, c) => {
    ragged(data, packed, c * total);
  });
  const mask = ragged(batch.responseMask.data, new Uint8Array(total));
  maskRatios(sources, packed, mask, total);
  return {
    header: {
      stage: value.stage,
      step: value.step,
      fingerprint: value.fingerprint,
      ...(value.stale === undefined ? {} : { stale: value.stale }),
      ...(value.stage === "updated" && value.dryRun ? { dryRun: true } : {}),
      settings: settingsOf(value),
      clipRange: value.config.cliprange,
      gamma: "gamma" in batch ? batch.gamma : value.config.gamma,
      gaeLambda: "gaeLambda" in batch ? batch.gaeLambda : value.config.lambda,
      prompts: [...batch.prompts],
      ends: [...batch.finishReasons],
      vocabulary,
      columns: sources.map(({ key, epoch }) => [key, epoch] as const),
      epochs: value.stage === "updated" ? value.newLogprobs.length : 0,
      minibatches: value.stage === "updated" ? value.minibatches.map(minibatchRow) : [],
      stats: value.stage === "updated" ? numericStats(value.stats) : {},
      alternatives,
    },
    buffers: {
      offsets,
      pieces,
      mask,
      scores: "scores" in batch ? Float32Array.from(batch.scores.data) : new Float32Array(0),
      channels: packed,
    },
  };
}

/** A lens over a packed value: what {@link packLens} made, or what came back over a comm or out of a saved notebook. */
export function openLens(header: LensHeader, buffers: LensBuffers): Lens {
  const { offsets, pieces, mask, scores, channels } = buffers;
  const total = pieces.length;
  const places = new Map(header.columns.map(([key, epoch], c) => [`${key} ${epoch}`, c]));
  return {
    ...header,
    episodes: offsets.length - 1,
    offsets,
    pieces,
    mask,
    scores,
    column(key, epoch = 0) {
      const c = places.get(`${key} ${epoch}`) ?? places.get(`${key} 0`);
      return c === undefined ? undefined : channels.subarray(c * total, (c + 1) * total);
    },
    episodeOf(token) {
      let low = 0;
      let high = offsets.length - 2;
      while (low < high) {
        const middle = (low + high + 1) >> 1;
        if ((offsets[middle] ?? 0) <= token) low = middle;
        else high = middle - 1;
      }
      return low;
    },
    textOf: (token) => header.vocabulary[pieces[token] ?? -1]?.[1] ?? "",
  };
}

/**
 * The channel that a stage has just computed, and so shows first. While the policy still is its reference every KL is
 * zero; the rewards then say more.
 */
export function firstChannel(lens: Lens): ChannelKey {
  if (lens.stage !== "scored") {
    return ({ rollout: "logprob", advantaged: "advantage", updated: "ratio" } as const)[lens.stage];
  }
  return lens.column("kl")?.some((x, i) => lens.mask[i] === 1 && Math.abs(x) > 1e-5) ? "kl" : "reward";
}

/**
 * Whether the clip stops this token: the ratio has left `1 ± clipRange` in the direction that the advantage pushes it,
 * so that the clipped term of the loss is the larger one and the token's gradient is zero.
 */
export function isClipped(ratio: number, advantage: number, clipRange: number): boolean {
  return advantage > 0 ? ratio > 1 + clipRange : advantage < 0 ? ratio < 1 - clipRange : false;
}

/** [N] 1 where the clip stops a token in an epoch; undefined for values without a ratio. */
export function clipFlags(lens: Lens, epoch: number): Uint8Array | undefined {
  const ratio = lens.column("ratio", epoch);
  const advantage = lens.column("advantage");
  if (!ratio || !advantage) return undefined;
  return Uint8Array.from(ratio, (r, i) => (lens.mask[i] && isClipped(r, advantage[i] ?? 0, lens.clipRange) ? 1 : 0));
}

/** Sum over the tokens of an episode that count. */
export function episodeSum(lens: Lens, column: Float32Array, episode: number): number {
  let sum = 0;
  for (let i = lens.offsets[episode] ?? 0; i < (lens.offsets[episode + 1] ?? 0); i++) {
    if (lens.mask[i]) sum += column[i] ?? 0;
  }
  return sum;
}

/** Heading of a stage. */
export function titleOf(lens: Pick<LensHeader, "stage" | "dryRun">): string {
  if (lens.dryRun) return "Update (dry run)";
  return { rollout: "Rollout", scored: "Scored rollout", advantaged: "Advantages", updated: "Update" }[lens.stage];
}

/** The number of response tokens of the longest episode. */
export function longest(lens: Lens): number {
  let most = 0;
  for (let b = 0; b < lens.episodes; b++) most = Math.max(most, (lens.offsets[b + 1] ?? 0) - (lens.offsets[b] ?? 0));
  return most;
}

interface Column {
  readonly key: ChannelKey;
  readonly epoch: number;
  /** [B, T] */
  readonly data: ArrayLike<number>;
}

function columnsOf(value: PPOStage): Column[] {
  const batch: Rollout | Scored | Advantaged = value.stage === "updated" ? value.advantaged : value;
  const columns: Column[] = [{ key: "logprob", epoch: 0, data: batch.logprobs.data }];
  if (batch.stage !== "rollout") {
    columns.push(
      { key: "refLogprob", epoch: 0, data: batch.refLogprobs.data },
      { key: "kl", epoch: 0, data: batch.kl.data },
      { key: "reward", epoch: 0, data: batch.rewards.data },
      { key: "value", epoch: 0, data: batch.values.data },
    );
  }
  if (batch.stage === "advantaged") {
    columns.push(
      { key: "advantage", epoch: 0, data: batch.advantages.data },
      { key: "return", epoch: 0, data: batch.returns.data },
    );
  }
  if (value.stage === "updated") {
    value.newLogprobs.forEach(({ data }, epoch) => {
      columns.push(
        { key: "newLogprob", epoch, data },
        { key: "ratio", epoch, data: Float32Array.from(data, (x, i) => Math.exp(x - (batch.logprobs.data[i] ?? 0))) },
      );
    });
  }
  return columns;
}

/** A token that the mask leaves out has no ratio: its log-probs may be anything. */
function maskRatios(columns: readonly Column[], packed: Float32Array, mask: Uint8Array, total: number): void {
  columns.forEach(({ key }, c) => {
    if (key !== "ratio") return;
    for (let i = 0; i < total; i++) if (!mask[i]) packed[c * total + i] = 1;
  });
}

function settingsOf(value: PPOStage): [string, number | string][] {
  const { config } = value;
  switch (value.stage) {
    case "rollout":
      return [
        ["temperature", config.temperature],
        ["top-k", config.topK],
        ["top-p", config.topP],
        ["seed", config.seed],
      ];
    case "scored":
      return [
        ["KL coefficient", value.klCoef],
        ["KL penalty", config.klPenalty],
      ];
    case "advantaged":
      return [
        ["gamma", value.gamma],
        ["lambda", value.gaeLambda],
        ["KL coefficient", value.klCoef],
      ];
    case "updated":
      return [
        ["epochs", config.ppoEpochs],
        ["learning rate", config.learningRate],
        ["clip range", config.cliprange],
        ["next KL coefficient", value.klCoef],
      ];
  }
}

function minibatchRow(minibatch: LensMinibatch): LensMinibatch {
  const { epoch, index, rows, policyLoss, valueLoss, approxKl, clipFrac, meanRatio, gradientNorm, entropy, skipped } =
    minibatch;
  return {
    epoch,
    index,
    rows: [...rows],
    policyLoss,
    valueLoss,
    approxKl,
    clipFrac,
    meanRatio,
    gradientNorm,
    entropy,
    skipped,
  };
}

function numericStats(stats: Readonly<Record<string, number | readonly number[]>>): Record<string, number> {
  const entries = Object.entries(stats).filter((entry): entry is [string, number] => typeof entry[1] === "number");
  return Object.fromEntries(entries);
}
