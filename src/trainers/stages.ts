import type { RunningMoments } from "../rl/rewards.js";
import type { Tensor } from "../tensor.js";
import type { PPOConfig } from "./config.js";

export type { PPOConfig } from "./config.js";

/** Why a response ended: at an end-of-sequence or stop token, or because it reached `maxNewTokens`. */
export type FinishReason = "stop" | "length";

/** What every stage value carries, so that it can be passed again, compared, and recognised. */
export interface StageValue {
  /** The trainer's step this value belongs to; the first is 0. */
  readonly step: number;
  /** Identity of the trainer that made the value (not part of the fingerprint). */
  readonly trainer: string;
  /** The configuration it was made under. */
  readonly config: PPOConfig;
  /** Fingerprint of the policy parameters that made this value's own numbers. */
  readonly parameters: string;
  /** Fingerprint of the numbers in this value: equal when a reader sees the same numbers as the author. */
  readonly fingerprint: string;
  /** Present when the value comes from parameters older than the trainer's at the time: says so in words. */
  readonly stale?: string;
}

/** Prompts and the responses that the policy wrote to them. */
export interface Rollout extends StageValue {
  readonly stage: "rollout";
  /** Prompt texts, B of them. */
  readonly prompts: readonly string[];
  /** Response texts, B of them, special tokens left out. */
  readonly responses: readonly string[];
  /** Prompt token ids, unpadded. */
  readonly queryIds: readonly (readonly number[])[];
  /** [B, T] response token ids, right-padded. */
  readonly responseIds: Tensor<"int32">;
  /** Text of every response token, unpadded lists. */
  readonly tokens: readonly (readonly string[])[];
  /** [B, T] 1 where a response token counts. */
  readonly responseMask: Tensor<"float32">;
  /** Number of response tokens of each episode (counting those that the mask leaves out). */
  readonly responseLengths: readonly number[];
  /** [B, T] log-probability of every response token, nats; the policy's own, temperature not applied. */
  readonly logprobs: Tensor<"float32">;
  readonly finishReasons: readonly FinishReason[];
}

/** A rollout with its scores, reference log-probs, values and per-token rewards. */
export interface Scored extends Omit<Rollout, "stage"> {
  readonly stage: "scored";
  /** [B] scores as they enter the rewards: after scaling, normalisation and clipping. */
  readonly scores: Tensor<"float32">;
  /** [B] scores as the reward function gave them (the sum over tokens of a per-token reward). */
  readonly rawScores: Tensor<"float32">;
  /** [B, T] scores of single tokens, where the reward judges tokens. */
  readonly tokenScores?: Tensor<"float32">;
  /** Moments of all scores so far, this batch included, for `useScoreScaling`. */
  readonly scoreMoments: RunningMoments;
  /** [B, T] log-probability of every response token under the reference. */
  readonly refLogprobs: Tensor<"float32">;
  /** [B, T] value head's estimate at the position that predicts the token. */
  readonly values: Tensor<"float32">;
  /** [B, T] KL penalty of every token in the configured estimator, nats. */
  readonly kl: Tensor<"float32">;
  /** [B, T] `-klCoef * kl`, plus the score at the last token that counts. */
  readonly rewards: Tensor<"float32">;
  /** The KL coefficient that was used. */
  readonly klCoef: number;
  /** Fingerprint of the reference parameters. */
  readonly reference: string;
}

/** Scored episodes with advantages and returns. */
export interface Advantaged extends Omit<Scored, "stage"> {
  readonly stage: "advantaged";
  /** [B, T] advantages as the loss uses them: whitened over the batch. */
  readonly advantages: Tensor<"float32">;
  /** [B, T] returns, the value head's target: advantages before whitening, plus values. */
  readonly returns: Tensor<"float32">;
  readonly gamma: number;
  readonly gaeLambda: number;
}

/** One mini-batch of an update, as it was before its optimizer step was taken. */
export interface MinibatchResult {
  readonly epoch: number;
  /** Place of the mini-batch in its epoch. */
  readonly index: number;
  /** Episodes in it, rows of the batch. */
  readonly rows: readonly number[];
  readonly policyLoss: number;
  /** Before `vfCoef`. */
  readonly valueLoss: number;
  /** `policyLoss + vfCoef * valueLoss` */
  readonly totalLoss: number;
  readonly entropy: number;
  readonly approxKl: number;
  readonly policyKl: number;
  readonly clipFrac: number;
  readonly valueClipFrac: number;
  /** [rows, T] log-probs of the tokens under the parameters of this mini-batch. */
  readonly newLogprobs: Tensor<"float32">;
  /** [rows, T] */
  readonly newValues: Tensor<"float32">;
  /** [rows, T] `exp(newLogprobs - logprobs)`, 0 where the mask is 0. */
  readonly ratio: Tensor<"float32">;
  readonly meanRatio: number;
  /** Euclidean norm of this mini-batch's gradient over all parameters, before clipping and accumulation. */
  readonly gradientNorm: number;
  /** The same per parameter, in the names of the Hugging Face layout. */
  readonly gradientNorms: Readonly<Record<string, number>>;
  /** True when the mean ratio was over `ratioThreshold`, so that its losses and gradient count as zero. */
  readonly skipped: boolean;
  /** True when an optimizer step follows this mini-batch (the last one of an accumulation). */
  readonly steps: boolean;
  /** Every number of this mini-batch in the names of the dialect. */
  readonly stats: Readonly<Record<string, number>>;
}

/** What an update did. */
export interface Updated {
  readonly stage: "updated";
  /** The step this update made; the trainer then stands at `step + 1`. */
  readonly step: number;
  readonly trainer: string;
  /** Metrics in the names of the dialect. */
  readonly stats: Readonly<Record<string, number | readonly number[]>>;
  readonly minibatches: readonly MinibatchResult[];
  /** Per epoch, [B, T] log-probs of every response token as its mini-batch saw them. */
  readonly newLogprobs: readonly Tensor<"float32">[];
  /** What the update was made from. */
  readonly advantaged: Advantaged;
  readonly config: PPOConfig;
  /** KL coefficient for the next step. */
  readonly klCoef: number;
  /** Fingerprint of the parameters before the update. */
  readonly parametersBefore: string;
  /** Fingerprint of the parameters after it. */
  readonly parameters: string;
  readonly fingerprint: string;
  /** True when nothing was committed: the trainer stands where it stood. */
  readonly dryRun: boolean;
  /** Epoch after which `earlyStopping` ended the update, if it did. */
  readonly stoppedEarly?: number;
  readonly stale?: string;
}

/** Any value of the four stages. */
export type PPOStage = Rollout | Scored | Advantaged | Updated;
