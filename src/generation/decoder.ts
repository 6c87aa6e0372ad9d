import type { ProgramCache } from "../engine/programCache.js";
import { Graph } from "../graph/graph.js";
import { logSoftmax, slice, sub } from "../graph/ops.js";
import { type Program, program } from "../graph/program.js";
import type { CausalLM } from "../models/model.js";
import type { ModelConfig } from "../nn/config.js";
import { lmHead } from "../nn/heads.js";
import { headDimOf, type KeyValues, pastInputs, transformer, weightsOf } from "../nn/transformer.js";
import { float32, int32, type Params, type Tensor } from "../tensor.js";

/** What of a model generation needs. */
export type GeneratingModel = Pick<CausalLM, "name" | "config" | "params" | "generation">;

/** Shapes are rounded up to multiples of these, so that few programs serve all lengths. */
const promptBucket = 16;
const slotBucket = 64;

const roundUp = (length: number, multiple: number): number => Math.ceil(length / multiple) * multiple;

/**
 * The model with its key-value cache. Rows are sequences; prompts are left-padded, so that all rows stand at the same
 * slot. The cache lives in JavaScript arrays that are the program's inputs: a run reads them in place and gives back only
 * the new keys and values, which are then written into the next slot.
 */
export class Decoder {
  #rows: number;
  #slots: number;
  #cache: Cache[] = [];
  #mask: Float32Array;
  #used: number;
  #positions: Int32Array;
  #logits: Float32Array = new Float32Array();
  #logSums: Float32Array = new Float32Array();
  readonly #inputs: Record<string, Tensor>;

  private constructor(
    readonly programs: ProgramCache,
    readonly config: ModelConfig,
    params: Params,
    prompts: readonly (readonly number[])[],
    readonly width: number,
    maxNewTokens: number,
  ) {
    this.#rows = prompts.length;
    // The last token's keys and values are never read.
    this.#slots = roundUp(width + Math.max(0, maxNewTokens - 1), slotBucket);
    this.#used = width;
    this.#positions = Int32Array.from(prompts, ({ length }) => length);
    this.#mask = new Float32Array(this.#rows * (this.#slots + 1));
    this.#inputs = Object.fromEntries(params);
  }

  /** Runs the prompts; afterwards {@link logits} are those of the first response tokens. */
  static async start(
    programs: ProgramCache,
    { config, params, generation }: GeneratingModel,
    prompts: readonly (readonly number[])[],
    maxNewTokens: number,
    signal: AbortSignal | undefined,
  ): Promise<Decoder> {
    const rows = prompts.length;
    const width = roundUp(Math.max(...prompts.map(({ length }) => length)), promptBucket);
    const decoder = new Decoder(programs, config, params, prompts, width, maxNewTokens);
    const ids = new Int32Array(rows * width).fill(generation.padTokenId);
    const positions = new Int32Array(rows * width);
    const mask = new Float32Array(rows * width);
    for (const [row, prompt] of prompts.entries()) {
      const start = (row + 1) * width - prompt.length;
      ids.set(prompt, start);
      mask.fill(1, start, start + prompt.length);
      for (let i = 0; i < prompt.length; i++) positions[start + i] = i;
    }
    const key = `prefill ${JSON.stringify(config)} ${rows} ${width}`;
    const executable = await programs.get(key, () => prefillProgram(config, rows, width));
    signal?.throwIfAborted();
    const results = await executable.run(
      {
        ...decoder.#inputs,
        inputIds: int32([rows, width], ids),
        positionIds: int32([rows, width], positions),
        attentionMask: float32([rows, width], mask),
      },
      { ...(signal ? { signal } : {}) },
    );
    decoder.#fill(results, mask);
    return decoder;
  }

  /** A row of logits `[V]`; the caller may write into it. */
  logits(row: number): Float32Array {
    const size = this.config.vocabSize;
    const own = this.#logits.subarray(row * size, (row + 1) * size);
    this.#scratch.set(own);
    return this.#scratch;
  }

  /** A row of log-probabilities `[V]`; the caller may write into it. */
  logprobs(row: number): Float32Array {
    const sum = this.#logSums[row] ?? Number.NaN;
    return this.logits(row).map((logit) => logit - sum);
  }

  /** The log-probability of a token under the model itself. */
  logprob(row: number, token: number): number {
    return (this.#logits[row * this.config.vocabSize + token] ?? Number.NaN) - (this.#logSums[row] ?? Number.NaN);
  }

  /**
   * To how many rows it is worth shrinking when so many are still needed: half of them, or half of that, so that few
   * programs serve all numbers; not below 8, where a row more costs next to nothing.
   */
  worthwhileRows(needed: number): number {
    let rows = this.#rows;
    while (rows % 2 === 0 && rows / 2 >= Math.max(8, needed)) rows /= 2;
    return rows;
  }

  /** Goes on with these rows, in this order; a row may be taken more than once. Logits stay those of before until {@link next}. */
  keep(rows: readonly number[]): void {
    const pick = <A extends Float32Array | Int32Array>(array: A, empty: A): A => {
      const size = array.length / this.#rows;
      rows.forEach((row, i) => {
        empty.set(array.subarray(row * size, (row + 1) * size), i * size);
      });
      return empty;
    };
    const fresh = (array: Float32Array): Float32Array => new Float32Array((array.length / this.#rows) * rows.length);
    this.#cache = this.#cache.map(({ keys, values }) => ({
      keys: pick(keys, fresh(keys)),
      values: pick(values, fresh(values)),
    }));
    this.#mask = pick(this.#mask, fresh(this.#mask));
    this.#positions = pick(this.#positions, new Int32Array(rows.length));
    this.#rows = rows.length;
  }

  /** Appends one token to every row; afterwards {@link logits} are those of the next tokens. */
  async next(tokens: readonly number[], signal: AbortSignal | undefined): Promise<void> {
    const rows = this.#rows;
    const slots = this.#slots;
    const { config } = this;
    const key = `decode ${JSON.stringify(config)} ${rows} ${slots}`;
    const executable = await this.programs.get(key, () => decodeProgram(config, rows, slots));
    const { heads, size } = cacheShape(config);
    const inputs: Record<string, Tensor> = this.#inputs;
    inputs.inputIds = int32([rows, 1], tokens);
    inputs.positionIds = int32([rows, 1], this.#positions);
    inputs.attentionMask = float32([rows, slots + 1], this.#mask);
    for (const [layer, { keys, values }] of this.#cache.entries()) {
      inputs[`past.${layer}.keys`] = float32([rows, heads, slots, size], keys);
      inputs[`past.${layer}.values`] = float32([rows, heads, slots, size], values);
    }
    this.#take(await executable.run(inputs, { ...(signal ? { signal } : {}) }));
    for (let row = 0; row < rows; row++) this.#mask[row * (slots + 1) + this.#used] = 1;
    this.#positions = this.#positions.map((position) => position + 1);
    this.#used++;
  }

  #scratch: Float32Array = new Float32Array();

  #fill(results: Record<string, Tensor>, mask: Float32Array): void {
    const { heads, size, layers } = cacheShape(this.config);
    this.#scratch = new Float32Array(this.config.vocabSize);
    const length = this.#rows * heads * this.#slots * size;
    this.#cache = Array.from({ length: layers }, () => ({
      keys: new Float32Array(length),
      values: new Float32Array(length),
    }));
    this.#used = 0;
    this.#take(results);
    this.#used = this.width;
    const stride = this.#slots + 1;
    for (let row = 0; row < this.#rows; row++) {
      this.#mask.set(mask.subarray(row * this.width, (row + 1) * this.width), row * stride);
      // The slot after the cache is the token itself.
      this.#mask[(row + 1) * stride - 1] = 1;
    }
  }

  /** Takes logits over, and writes new keys and values `[rows, heads, T, size]` into the slots from `#used` on. */
  #take(results: Record<string, Tensor>): void {
    const { heads, size } = cacheShape(this.config);
    this.#logits = floats(results.logits);
    this.#logSums = floats(results.logSums);
    for (const [layer, cache] of this.#cache.entries()) {
      for (const kind of ["keys", "values"] as const) {
        const source = floats(results[`present.${layer}.${kind}`]);
        const width = source.length / (this.#rows * heads);
        for (let i = 0; i < this.#rows * heads; i++) {
          cache[kind].set(source.subarray(i * width, (i + 1) * width), (i * this.#slots + this.#used) * size);
        }
      }
    }
  }
}

/** Keys and values of one layer, `[rows, heads, slots, size]`; slots that are not used yet are masked. */
interface Cache {
  readonly keys: Float32Array;
  readonly values: Float32Array;
}

function floats(value: Tensor | undefined): Float32Array {
  if (!(value?.data instanceof Float32Array)) throw new Error("the generation program gave no such output");
  return value.data;
}

function cacheShape(config: ModelConfig): { layers: number; heads: number; size: number } {
  const heads = config.modelType === "gpt2" ? config.numHeads : config.numKeyValueHeads;
  return { layers: config.numLayers, heads, size: headDimOf(config) };
}

/** Prompts `[B, P]`, left-padded, to the logits after each and the keys and values of all their tokens. */
function prefillProgram(config: ModelConfig, rows: number, width: number): Program {
  const graph = new Graph();
  const weights = weightsOf(graph, config);
  const inputs = {
    inputIds: graph.input("inputIds", "int32", [rows, width]),
    positionIds: graph.input("positionIds", "int32", [rows, width]),
    attentionMask: graph.input("attentionMask", "float32", [rows, width]),
  };
  const { hidden, presents } = transformer(config, weights, inputs);
  return nextTokenProgram(lmHead(config, weights, slice(hidden, 1, width - 1)), presents);
}

/** One token per row after a cache of `slots` slots, to the logits of the next one and its own keys and values. */
function decodeProgram(config: ModelConfig, rows: number, slots: number): Program {
  const graph = new Graph();
  const weights = weightsOf(graph, config);
  const inputs = {
    inputIds: graph.input("inputIds", "int32", [rows, 1]),
    positionIds: graph.input("positionIds", "int32", [rows, 1]),
    attentionMask: graph.input("attentionMask", "float32", [rows, slots + 1]),
  };
  const past = pastInputs(graph, config, rows, slots);
  const { hidden, presents } = transformer(config, weights, inputs, { past });
  return nextTokenProgram(lmHead(config, weights, hidden), presents);
}

function nextTokenProgram(logits: ReturnType<typeof lmHead>, presents: readonly KeyValues[]): Program {
  // log(sum(exp(logits))), the same for every token of a row; LogSoftmax is far faster than ReduceLogSumExp.
  const logSums = sub(slice(logits, -1, 0, 1), slice(logSoftmax(logits), -1, 0, 1));
  const outputs = presents.flatMap(({ keys, values }, layer) => [
    [`present.${layer}.keys`, keys] as const,
    [`present.${layer}.values`, values] as const,
  ]);
  return program({ logits, logSums, ...Object.fromEntries(outputs) });
}
