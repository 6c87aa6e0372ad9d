/** What a reward function sees: the episodes of one rollout, in batch order. */
export interface Episodes {
  /** Prompt texts, one per episode. */
  readonly prompts: readonly string[];
  /** Response texts, one per episode, special tokens left out. */
  readonly responses: readonly string[];
  /** Prompt token ids, one unpadded list per episode. */
  readonly queryIds: readonly (readonly number[])[];
  /** Response token ids, one unpadded list per episode; the end-of-sequence token is there when it was sampled. */
  readonly responseIds: readonly (readonly number[])[];
}

/** What a reward function gets besides the episodes. */
export interface RewardContext {
  /** Aborted when the user interrupts: a reward that waits for something should stop waiting. */
  readonly signal: AbortSignal;
}

/** One number per episode, or one list per episode with one number per response token. */
export type RewardValues = ArrayLike<number> | readonly ArrayLike<number>[];

/**
 * Judges the episodes of a rollout: one finite number per episode (credited at its last token), or one list per episode
 * with a finite number for each of its response tokens. It may be async. A function may carry a name for displays.
 */
export type RewardFunction = (episodes: Episodes, context: RewardContext) => RewardValues | Promise<RewardValues>;
