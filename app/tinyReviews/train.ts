import type { Engine, Executable } from "../../src/engine/engine.js";
import { gradient } from "../../src/graph/gradient.js";
import { Graph } from "../../src/graph/graph.js";
import * as op from "../../src/graph/ops.js";
import { program } from "../../src/graph/program.js";
import { type LlamaConfig, parameterShapes } from "../../src/nn/config.js";
import { lmHead, tokenLogprobs } from "../../src/nn/heads.js";
import { transformer, weightsOf } from "../../src/nn/transformer.js";
import { adamWWithGroups } from "../../src/optim/adam.js";
import { chain, clipping } from "../../src/optim/optimizer.js";
import { schedule } from "../../src/optim/schedules.js";
import { stream } from "../../src/random.js";
import { float32, int32, type Params, type Tensor } from "../../src/tensor.js";

/** How it is trained. */
export interface Training {
  readonly seed: number;
  readonly steps: number;
  readonly batchSize: number;
  readonly learningRate: number;
  readonly warmupSteps: number;
}

/** Parameters before training: normal with standard deviation 0.02 (0.02 / sqrt(2 layers) where a layer ends), norms 1. */
export function initialParams(config: LlamaConfig, seed: number): Params {
  const params = new Map<string, Tensor<"float32">>();
  let number = 0;
  for (const [name, dims] of parameterShapes(config)) {
    const random = stream(seed, "tiny-reviews/initial", 0, number++);
    const deviation = /o_proj|down_proj/.test(name) ? 0.02 / Math.sqrt(2 * config.numLayers) : 0.02;
    const size = dims.reduce((product, dim) => product * dim, 1);
    const isNorm = dims.length === 1;
    params.set(
      name,
      float32(
        dims,
        Float32Array.from({ length: size }, () => (isNorm ? 1 : deviation * random.normal())),
      ),
    );
  }
  return params;
}

/** Mean negative log-likelihood of `targets` [B, T], the tokens after `ids` [B, T], where `counts` [B, T] is 1, and its gradients. */
function lossProgram(config: LlamaConfig, batch: number, length: number) {
  const graph = new Graph();
  const weights = weightsOf(graph, config);
  const inputIds = graph.input("ids", "int32", [batch, length]);
  const targets = graph.input("targets", "int32", [batch, length]);
  const counts = graph.input("counts", "float32", [batch, length]);
  const positions = int32(
    [1, length],
    Int32Array.from({ length }, (_, t) => t),
  );
  const positionIds = op.expand(graph.constant(positions), [batch, length]);
  const { hidden } = transformer(config, weights, { inputIds, positionIds, attentionMask: counts });
  const logprobs = tokenLogprobs(lmHead(config, weights, hidden), targets);
  const loss = op.neg(op.div(op.reduceSum(op.mul(logprobs, counts)), op.reduceSum(counts)));
  const names = [...parameterShapes(config).keys()];
  const gradients = gradient(loss, names.map(weights));
  return program({
    loss,
    ...Object.fromEntries(names.map((name, i) => [`gradient of ${name}`, gradients[i] ?? loss])),
  });
}

/** Rows of about equal length: those of at most `length` tokens (one more with the last target). */
interface Bucket {
  readonly length: number;
  readonly rows: (readonly number[])[];
}

/**
 * Trains by predicting the next token of each text, each text a row of its own.
 * The same engine and arguments give the same parameters, bit by bit.
 * @param texts token ids with the token that begins and the one that ends a text; longer ones than the largest length are left out
 */
export async function train(
  engine: Engine,
  config: LlamaConfig,
  training: Training,
  texts: readonly (readonly number[])[],
  {
    lengths = [31, 47],
    padTokenId,
    onStep,
  }: { lengths?: readonly number[]; padTokenId: number; onStep?: (step: number, loss: number) => void },
): Promise<Params> {
  const { seed, steps, batchSize } = training;
  const buckets = lengths.map((length): Bucket => ({ length, rows: [] }));
  for (const text of texts) buckets.find(({ length }) => text.length <= length + 1)?.rows.push(text);
  const total = buckets.reduce((sum, { rows }) => sum + rows.length, 0);
  const orders = buckets.map(({ rows }, i) => stream(seed, "tiny-reviews/order", 0, i).permutation(rows.length));
  const positions = buckets.map(() => 0);
  const executables: Executable[] = [];
  for (const { length } of buckets) executables.push(await engine.compile(lossProgram(config, batchSize, length)));

  const optimizer = chain(
    clipping(1),
    adamWWithGroups({ learningRate: training.learningRate, beta2: 0.98, weightDecay: 0.05 }),
  );
  const rate = schedule({
    name: "cosine",
    baseLr: training.learningRate,
    warmupSteps: training.warmupSteps,
    totalSteps: steps,
  });
  const choice = stream(seed, "tiny-reviews/buckets");
  let params = initialParams(config, seed);
  let state = optimizer.init(params);
  for (let step = 0; step < steps; step++) {
    let row = choice.integer(total);
    let chosen = 0;
    while (row >= (buckets[chosen]?.rows.length ?? 0)) row -= buckets[chosen++]?.rows.length ?? 0;
    const { length, rows } = buckets[chosen] as Bucket;
    const ids = new Int32Array(batchSize * length).fill(padTokenId);
    const targets = new Int32Array(batchSize * length).fill(padTokenId);
    const counts = new Float32Array(batchSize * length);
    for (let b = 0; b < batchSize; b++) {
      const position = positions[chosen] ?? 0;
      positions[chosen] = (position + 1) % rows.length;
      const text = rows[orders[chosen]?.[position] ?? 0] ?? [];
      for (let t = 0; t + 1 < text.length; t++) {
        ids[b * length + t] = text[t] ?? padTokenId;
        targets[b * length + t] = text[t + 1] ?? padTokenId;
        counts[b * length + t] = 1;
      }
    }
    const results = await (executables[chosen] as Executable).run({
      ...Object.fromEntries(params),
      ids: int32([batchSize, length], ids),
      targets: int32([batchSize, length], targets),
      counts: float32([batchSize, length], counts),
    });
    const tensors = new Map(
      [...params.keys()].map((name) => [name, results[`gradient of ${name}`] as Tensor<"float32">]),
    );
    ({ params, state } = optimizer.update({ tensors, scale: 1 }, state, params, {
      learningRate: rate(step),
      overwrite: () => true,
    }));
    onStep?.(step, results.loss?.data[0] ?? Number.NaN);
  }
  for (const executable of executables) await executable.dispose();
  return params;
}
