/** What the policy and its reference say about the tokens of a batch: forward passes, mini-batch by mini-batch. */
import type { ProgramCache } from "../engine/programCache.js";
import type { CausalLM } from "../models/model.js";
import { fullKl } from "../rl/kl.js";
import { float32, type Params, type Tensor } from "../tensor.js";
import type { PPOConfig } from "./config.js";
import { type EpisodeIds, pack, unpack } from "./episodes.js";
import { Passes } from "./passes.js";

/** A few: more than one rollout of the same parameters is rare. */
const REMEMBERED = 4;

/** Log-probs and values of response tokens, [B, T]. */
export interface Evaluated {
  readonly logprobs: Tensor<"float32">;
  readonly values: Tensor<"float32">;
}

/** The episodes of a batch as they are evaluated. */
export interface Batch extends EpisodeIds {
  /** T, the longest response */
  readonly columns: number;
}

/** The models of a trainer, asked about episodes. */
export class Evaluation {
  /** The policy's passes. */
  readonly passes: Passes;
  readonly #reference: CausalLM;
  readonly #referencePasses: Passes;
  readonly #vocabSize: number;
  readonly #config: PPOConfig;
  /** What was said about a rollout, by the parameters that said it. */
  readonly #known = new WeakMap<Params, Map<string, Evaluated>>();

  constructor(
    programs: ProgramCache,
    {
      policy,
      reference,
      config,
    }: { readonly policy: CausalLM; readonly reference: CausalLM; readonly config: PPOConfig },
  ) {
    this.passes = new Passes(programs, policy.config);
    this.#reference = reference;
    this.#referencePasses = new Passes(programs, reference.config);
    this.#vocabSize = policy.config.vocabSize;
    this.#config = config;
  }

  /** Log-probs and values under the policy with these parameters. */
  policy(params: Params, batch: Batch, signal: AbortSignal): Promise<Evaluated> {
    return this.#evaluate(this.passes, params, batch, signal);
  }

  /**
   * Log-probs and values of a rollout under the policy and the reference.
   * @param name the rollout's fingerprint: scoring it again with another reward runs no model
   */
  async both(
    name: string,
    params: Params,
    batch: Batch,
    signal: AbortSignal,
  ): Promise<{ readonly policy: Evaluated; readonly reference: Evaluated }> {
    return {
      policy: await this.#remembered(name, this.passes, params, batch, signal),
      reference: await this.#remembered(name, this.#referencePasses, this.#reference.params, batch, signal),
    };
  }

  /** The exact KL of every response token's distribution from the reference's, [B, T], nats. */
  async fullKl(params: Params, batch: Batch, signal: AbortSignal): Promise<Tensor<"float32">> {
    const { columns } = batch;
    const count = batch.queryIds.length;
    const kl = new Float32Array(count * columns);
    for (const rows of chunks(count, this.#config.miniBatchSize)) {
      const episodes = pack(batch, rows, columns, this.#config);
      const ours = await this.passes.forward(params, episodes, { full: true, signal });
      const theirs = await this.#referencePasses.forward(this.#reference.params, episodes, { full: true, signal });
      const packed = fullKl(ours.full ?? [], theirs.full ?? [], this.#vocabSize);
      kl.set(unpack(packed, episodes, columns).data, (rows[0] ?? 0) * columns);
    }
    return float32([count, columns], kl);
  }

  async #remembered(
    name: string,
    passes: Passes,
    params: Params,
    batch: Batch,
    signal: AbortSignal,
  ): Promise<Evaluated> {
    const known = this.#known.get(params) ?? new Map<string, Evaluated>();
    const before = known.get(name);
    if (before !== undefined) return before;
    const evaluated = await this.#evaluate(passes, params, batch, signal);
    const oldest = known.keys().next().value;
    if (known.size >= REMEMBERED && oldest !== undefined) known.delete(oldest);
    this.#known.set(params, known.set(name, evaluated));
    return evaluated;
  }

  async #evaluate(passes: Passes, params: Params, batch: Batch, signal: AbortSignal): Promise<Evaluated> {
    const { columns } = batch;
    const count = batch.queryIds.length;
    const logprobs = new Float32Array(count * columns);
    const values = new Float32Array(count * columns);
    for (const rows of chunks(count, this.#config.miniBatchSize)) {
      const episodes = pack(batch, rows, columns, this.#config);
      const pass = await passes.forward(params, episodes, { signal });
      logprobs.set(unpack(pass.logprobs, episodes, columns).data, (rows[0] ?? 0) * columns);
      values.set(unpack(pass.values, episodes, columns).data, (rows[0] ?? 0) * columns);
    }
    return { logprobs: float32([count, columns], logprobs), values: float32([count, columns], values) };
  }
}

function* chunks(count: number, size: number): Generator<number[]> {
  for (let start = 0; start < count; start += size) {
    yield Array.from({ length: Math.min(size, count - start) }, (_, i) => start + i);
  }
}
