/** How much two token distributions differ, per token; see {@link "../rl/kl.js"}. */
export type KlPenalty = "kl" | "abs" | "mse" | "full";

/** A PPO configuration as it really runs: complete, checked, frozen. Defaults are the dialect's. */
export interface PPOConfig {
  /** Whose PPO this is, number for number, its known defects included. */
  readonly dialect: "trl-0.11";
  /** Episodes per step. */
  readonly batchSize: number;
  /** Episodes per forward and backward pass of the update. */
  readonly miniBatchSize: number;
  /** Mini-batches whose gradients are averaged into one optimizer step. */
  readonly gradientAccumulationSteps: number;
  /** Passes over the batch in one update. */
  readonly ppoEpochs: number;
  readonly learningRate: number;
  /** Largest Euclidean norm of the gradient over all parameters; null leaves gradients as they are. */
  readonly maxGradNorm: number | null;
  /** KL coefficient at the start (`init_kl_coef` in TRL). */
  readonly klCoef: number;
  readonly klPenalty: KlPenalty;
  /** Whether the KL coefficient follows `klTarget`. */
  readonly adaptiveKl: boolean;
  /** Nats per episode (`target` in TRL). */
  readonly klTarget: number;
  /** Episodes over which the KL coefficient adapts (`horizon` in TRL). */
  readonly klHorizon: number;
  readonly cliprange: number;
  readonly cliprangeValue: number;
  readonly vfCoef: number;
  readonly gamma: number;
  /** Lambda of the generalised advantage estimate (`lam` in TRL). */
  readonly lambda: number;
  readonly whitenRewards: boolean;
  /** Divide scores by their running standard deviation. */
  readonly useScoreScaling: boolean;
  /** Subtract the running mean too; needs `useScoreScaling`. */
  readonly useScoreNorm: boolean;
  /** Clip scores to plus or minus this, after scaling; null does not clip. */
  readonly scoreClip: number | null;
  /** Stop an update after an epoch whose last mini-batch has a KL above 1.5 `targetKl`. */
  readonly earlyStopping: boolean;
  readonly targetKl: number;
  /** A mini-batch whose mean ratio is above this does not count. */
  readonly ratioThreshold: number;
  readonly maxNewTokens: number;
  readonly minNewTokens: number;
  readonly temperature: number;
  /** 0 keeps all tokens. */
  readonly topK: number;
  /** 1 keeps all tokens. */
  readonly topP: number;
  /** Texts of tokens that end a response besides the model's own end-of-sequence tokens. */
  readonly stopTokens: readonly (string | number)[];
  readonly seed: number;
  /** Side on which rows are padded when they are scored and trained on. */
  readonly paddingSide: "left" | "right";
  /** Number positions over the padded row, also with left padding (what TRL 0.11 does); false counts real tokens. */
  readonly paddedPositions: boolean;
  /** Clip only at the first optimizer step of the trainer's life (what TRL 0.11 does); false clips at every step. */
  readonly clipGradOnce: boolean;
  /** With `whitenRewards`, let whitened padding after a response count as reward (what TRL 0.11 does); false masks it. */
  readonly whitenPadding: boolean;
  readonly adamBeta1: number;
  readonly adamBeta2: number;
  readonly adamEpsilon: number;
  /** Decoupled weight decay (AdamW); 0 is Adam. */
  readonly weightDecay: number;
}
