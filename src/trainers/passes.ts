/**
 * Forward and backward passes over episodes: graph programs built from the model's layers and the loss, compiled once
 * per shape and cached. The policy and the reference share the forward program: parameters are inputs.
 */
import type { ProgramCache } from "../engine/programCache.js";
import { gradient } from "../graph/gradient.js";
import { Graph } from "../graph/graph.js";
import { exp, gather, gatherElements, logSoftmax, mul, neg, reduceSum, reshape } from "../graph/ops.js";
import { type Program, program } from "../graph/program.js";
import type { Value } from "../graph/value.js";
import type { ModelConfig } from "../nn/config.js";
import { lmHead, transformer, valueHead } from "../nn/transformer.js";
import { ppoLossGraph } from "../rl/lossGraph.js";
import { float32, type Params, type Tensor } from "../tensor.js";
import type { PackedEpisodes } from "./episodes.js";

/** What a model says about response tokens; arrays are packed like the tokens. */
export interface ForwardResult {
  /** [N] log-probability of each token, nats */
  readonly logprobs: Float32Array;
  /** [N] value at the position that predicts it */
  readonly values: Float32Array;
  /** [N, V] log-probabilities of the whole vocabulary, when asked for */
  readonly full?: Float32Array;
}

/** Numbers that the loss needs, packed like the tokens, [N] each. */
export interface LossBatch {
  readonly mask: Tensor<"float32">;
  readonly advantages: Tensor<"float32">;
  readonly returns: Tensor<"float32">;
  readonly logprobs: Tensor<"float32">;
  readonly values: Tensor<"float32">;
}

/** What a forward and backward pass gives, [N] packed like the tokens, and the gradient of the total loss. */
export interface BackwardResult {
  readonly newLogprobs: Float32Array;
  readonly newValues: Float32Array;
  /** Entropy of the distribution that each token was predicted from, nats. */
  readonly entropy: Float32Array;
  readonly gradients: Params;
}

/** The passes of one model architecture. */
export class Passes {
  readonly #cache: ProgramCache;
  readonly #config: ModelConfig;
  readonly #key: string;

  constructor(cache: ProgramCache, config: ModelConfig) {
    this.#cache = cache;
    this.#config = config;
    this.#key = JSON.stringify(config);
  }

  /** Log-probs and values of the response tokens. */
  async forward(
    params: Params,
    episodes: PackedEpisodes,
    { full = false, signal }: { readonly full?: boolean; readonly signal?: AbortSignal } = {},
  ): Promise<ForwardResult> {
    const key = `ppo forward ${full} ${this.#shapeKey(episodes)}`;
    const executable = await this.#cache.get(key, () => this.#forwardProgram(params, episodes, full));
    const out = await executable.run({ ...Object.fromEntries(params), ...modelInputs(episodes) }, runOptions(signal));
    return {
      logprobs: floats(out, "logprobs"),
      values: floats(out, "values"),
      ...(full ? { full: floats(out, "full") } : {}),
    };
  }

  /** The loss's gradient, and what the model says now. */
  async backward(
    params: Params,
    episodes: PackedEpisodes,
    batch: LossBatch,
    hyper: { readonly cliprange: number; readonly cliprangeValue: number; readonly vfCoef: number },
    signal?: AbortSignal,
  ): Promise<BackwardResult> {
    const key = `ppo backward ${this.#shapeKey(episodes)}`;
    const executable = await this.#cache.get(key, () => this.#backwardProgram(params, episodes));
    const out = await executable.run(
      {
        ...Object.fromEntries(params),
        ...modelInputs(episodes),
        ...Object.fromEntries(Object.entries(batch).map(([name, value]) => [`batch.${name}`, value])),
        "batch.cliprange": float32([], [hyper.cliprange]),
        "batch.cliprangeValue": float32([], [hyper.cliprangeValue]),
        "batch.vfCoef": float32([], [hyper.vfCoef]),
      },
      runOptions(signal),
    );
    const gradients = new Map<string, Tensor<"float32">>();
    for (const [name, { shape }] of params) {
      const found = out[gradientName(name)];
      if (found?.dtype === "float32") gradients.set(name, float32(shape, found.data as Float32Array));
    }
    return {
      newLogprobs: floats(out, "logprobs"),
      newValues: floats(out, "values"),
      entropy: floats(out, "entropy"),
      gradients,
    };
  }

  #shapeKey({ inputIds, positions }: PackedEpisodes): string {
    return `${inputIds.shape.join("x")} ${positions.shape[0]} ${this.#key}`;
  }

  #forwardProgram(params: Params, episodes: PackedEpisodes, full: boolean): Program {
    const { logprobs, values, distribution } = this.#model(new Graph(), params, episodes);
    return program({ logprobs, values, ...(full ? { full: distribution } : {}) });
  }

  #backwardProgram(params: Params, episodes: PackedEpisodes): Program {
    const graph = new Graph();
    const { logprobs, values, distribution, declared } = this.#model(graph, params, episodes);
    const vector = (name: string): Value => graph.input(`batch.${name}`, "float32", episodes.positions.shape);
    const scalar = (name: string): Value => graph.input(`batch.${name}`, "float32", []);
    const loss = ppoLossGraph({
      mask: vector("mask"),
      advantages: vector("advantages"),
      returns: vector("returns"),
      logprobs: vector("logprobs"),
      values: vector("values"),
      newLogprobs: logprobs,
      newValues: values,
      cliprange: scalar("cliprange"),
      cliprangeValue: scalar("cliprangeValue"),
      vfCoef: scalar("vfCoef"),
    });
    const entropy = neg(reduceSum(mul(exp(distribution), distribution), [-1]));
    const names = [...declared.keys()];
    const gradients = gradient(loss, [...declared.values()]);
    return program({
      logprobs,
      values,
      entropy,
      ...Object.fromEntries(
        names.flatMap((name, i) => {
          const value = gradients[i];
          return value === undefined ? [] : [[gradientName(name), value]];
        }),
      ),
    });
  }

  /** The model on padded rows, its heads on the positions that predict response tokens. */
  #model(graph: Graph, params: Params, { inputIds, positions }: PackedEpisodes) {
    const declared = new Map<string, Value>();
    const weights = (name: string): Value => {
      const known = declared.get(name);
      if (known !== undefined) return known;
      const tensor = params.get(name);
      if (tensor === undefined) throw new Error(`the model has no parameter "${name}"`);
      const value = graph.input(name, "float32", tensor.shape);
      declared.set(name, value);
      return value;
    };
    const { hidden } = transformer(this.#config, weights, {
      inputIds: graph.input("inputIds", "int32", inputIds.shape),
      positionIds: graph.input("positionIds", "int32", inputIds.shape),
      attentionMask: graph.input("attentionMask", "float32", inputIds.shape),
    });
    const [rows = 0, length = 0, width = 0] = hidden.shape;
    const [count = 0] = positions.shape;
    const flat = reshape(hidden, [rows * length, width]);
    const picked = reshape(gather(flat, graph.input("positions", "int32", [count]), 0), [1, count, width]);
    const logits = reshape(lmHead(this.#config, weights, picked), [count, -1]);
    const distribution = logSoftmax(logits, -1);
    const tokens = reshape(graph.input("tokens", "int32", [count]), [count, 1]);
    const logprobs = reshape(gatherElements(distribution, tokens, 1), [count]);
    const values = reshape(valueHead(weights, picked), [count]);
    return { logprobs, values, distribution, declared };
  }
}

const gradientName = (name: string): string => `gradient.${name}`;

const runOptions = (signal: AbortSignal | undefined): { readonly signal?: AbortSignal } =>
  signal === undefined ? {} : { signal };

function modelInputs({ inputIds, positionIds, attentionMask, positions, tokens }: PackedEpisodes) {
  return { inputIds, positionIds, attentionMask, positions, tokens };
}

function floats(out: Readonly<Record<string, Tensor>>, name: string): Float32Array {
  const data = out[name]?.data;
  if (!(data instanceof Float32Array)) throw new Error(`the program gave no float32 output "${name}"`);
  return data;
}
