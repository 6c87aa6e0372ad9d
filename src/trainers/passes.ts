/**
 * Forward and backward passes over episodes: graph programs built from the model's layers and the loss, compiled once
 * per shape and cached. The policy and the reference share the forward program: parameters are inputs.
 */
import type { ProgramCache } from "../engine/programCache.js";
import { gradient } from "../graph/gradient.js";
import { Graph } from "../graph/graph.js";
import { exp, gatherElements, logSoftmax, mul, neg, reduceSum, reduceSumSquare, reshape } from "../graph/ops.js";
import { type Program, program } from "../graph/program.js";
import type { Value } from "../graph/value.js";
import { embeddingName, type ModelConfig, parameterShapes, valueHeadShapes } from "../nn/config.js";
import { lmHead, selectRows, valueHead } from "../nn/heads.js";
import { transformer, weightsOf } from "../nn/transformer.js";
import { norm } from "../optim/optimizer.js";
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
  /** Euclidean norm of each gradient. */
  readonly gradientNorms: ReadonlyMap<string, number>;
}

/** The passes of one model architecture. */
export class Passes {
  readonly #cache: ProgramCache;
  readonly #config: ModelConfig;
  readonly #key: string;
  readonly #names: readonly string[];

  constructor(cache: ProgramCache, config: ModelConfig) {
    this.#cache = cache;
    this.#config = config;
    this.#key = JSON.stringify(config);
    this.#names = [...parameterShapes(config).keys(), ...valueHeadShapes(config).keys()];
  }

  /** Log-probs and values of the response tokens. */
  async forward(
    params: Params,
    episodes: PackedEpisodes,
    { full = false, signal }: { readonly full?: boolean; readonly signal?: AbortSignal } = {},
  ): Promise<ForwardResult> {
    const key = `ppo forward ${full} ${this.#shapeKey(episodes)}`;
    const executable = await this.#cache.get(key, () => this.#forwardProgram(episodes, full));
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
    { signal, allocate }: { readonly signal?: AbortSignal; readonly allocate?: (length: number) => Float32Array } = {},
  ): Promise<BackwardResult> {
    const key = `ppo backward ${this.#shapeKey(episodes)}`;
    const executable = await this.#cache.get(key, () => this.#backwardProgram(episodes));
    const out = await executable.run(
      {
        ...Object.fromEntries(params),
        ...modelInputs(episodes),
        ...Object.fromEntries(Object.entries(batch).map(([name, value]) => [`batch.${name}`, value])),
        "batch.cliprange": float32([], [hyper.cliprange]),
        "batch.cliprangeValue": float32([], [hyper.cliprangeValue]),
        "batch.vfCoef": float32([], [hyper.vfCoef]),
      },
      { ...runOptions(signal), ...(allocate === undefined ? {} : { allocate }) },
    );
    const gradients = new Map<string, Tensor<"float32">>();
    for (const name of this.#names) {
      const shape = params.get(name)?.shape ?? [];
      const found = out[gradientName(name)];
      if (found !== undefined) gradients.set(name, float32(shape, found.data as Float32Array));
    }
    const table = embeddingName(this.#config);
    gradients.set(table, withLookups(gradients.get(table), params.get(table), episodes, floats(out, "embeddings")));
    const gradientNorms = new Map<string, number>();
    for (const [name, gradient] of gradients) {
      const squares = name === table ? undefined : out[squaresName(name)];
      gradientNorms.set(name, squares === undefined ? norm(gradient) : Math.sqrt(sum(squares.data)));
    }
    return {
      newLogprobs: floats(out, "logprobs"),
      newValues: floats(out, "values"),
      entropy: floats(out, "entropy"),
      gradients,
      gradientNorms,
    };
  }

  #shapeKey({ inputIds, positions }: PackedEpisodes): string {
    return `${inputIds.shape.join("x")} ${positions.shape[0]} ${this.#key}`;
  }

  #forwardProgram(episodes: PackedEpisodes, full: boolean): Program {
    const { logprobs, values, distribution } = this.#model(new Graph(), episodes);
    return program({ logprobs, values, ...(full ? { full: distribution } : {}) });
  }

  #backwardProgram(episodes: PackedEpisodes): Program {
    const graph = new Graph();
    const { logprobs, values, distribution, embeddings } = this.#model(graph, episodes);
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
    // The table's own gradient comes from a tied head; what the look-up adds is scattered outside the graph.
    const names = this.#names.filter((name) => name !== embeddingName(this.#config) || this.#config.tieWordEmbeddings);
    const weights = weightsOf(graph, this.#config);
    const [embeddingsGradient, ...gradients] = gradient(loss, [embeddings, ...names.map(weights)]);
    if (embeddingsGradient === undefined) throw new Error("the loss does not depend on the embeddings");
    const outputs: Record<string, Value> = { logprobs, values, entropy, embeddings: embeddingsGradient };
    for (const [i, value] of gradients.entries()) {
      const name = names[i] ?? "";
      outputs[gradientName(name)] = value;
      // Row by row, so that float32 suffices; the rows are added in float64 outside.
      if (value.shape.length === 2) outputs[squaresName(name)] = reduceSumSquare(value, [1]);
    }
    return program(outputs);
  }

  /** The model on padded rows, its heads on the positions that predict response tokens. */
  #model(graph: Graph, { inputIds, positions }: PackedEpisodes) {
    const weights = weightsOf(graph, this.#config);
    const { hidden, embeddings } = transformer(
      this.#config,
      weights,
      {
        inputIds: graph.input("inputIds", "int32", inputIds.shape),
        positionIds: graph.input("positionIds", "int32", inputIds.shape),
        attentionMask: graph.input("attentionMask", "float32", inputIds.shape),
      },
      { detachEmbedding: true },
    );
    const [count = 0] = positions.shape;
    const picked = selectRows(hidden, graph.input("positions", "int32", [count]));
    const distribution = logSoftmax(lmHead(this.#config, weights, picked), -1);
    const tokens = reshape(graph.input("tokens", "int32", [count]), [count, 1]);
    const logprobs = reshape(gatherElements(distribution, tokens, 1), [count]);
    return { logprobs, values: valueHead(weights, picked), distribution, embeddings };
  }
}

/** The embedding table's gradient: what the tied head gave, if any, plus the gradient of every looked-up row. */
function withLookups(
  fromHead: Tensor<"float32"> | undefined,
  table: Tensor<"float32"> | undefined,
  { inputIds, attentionMask }: PackedEpisodes,
  rows: Float32Array,
): Tensor<"float32"> {
  if (table === undefined) throw new Error("the model has no embedding table");
  const width = table.shape[1] ?? 0;
  const data = fromHead?.data ?? new Float32Array(table.data.length);
  for (let i = 0; i < inputIds.data.length; i++) {
    if (attentionMask.data[i] === 0) continue;
    const to = (inputIds.data[i] ?? 0) * width;
    const from = i * width;
    for (let j = 0; j < width; j++) data[to + j] = (data[to + j] as number) + (rows[from + j] as number);
  }
  return float32(table.shape, data);
}

const gradientName = (name: string): string => `gradient.${name}`;
const squaresName = (name: string): string => `squares.${name}`;

function sum(data: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < data.length; i++) total += data[i] as number;
  return total;
}

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
