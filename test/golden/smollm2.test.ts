import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import type { Executable } from "../../src/engine/engine.js";
import { ortEngine } from "../../src/engine/ort.js";
import { Graph } from "../../src/graph/graph.js";
import { logSoftmax, reshape } from "../../src/graph/ops.js";
import { type Program, program } from "../../src/graph/program.js";
import { loadModel } from "../../src/models/load.js";
import type { CausalLM } from "../../src/models/model.js";
import { pull, pulledFile } from "../../src/models/pull.js";
import type { ChatMessage } from "../../src/models/tokenizer.js";
import { lmHead, selectRows, tokenLogprobs } from "../../src/nn/heads.js";
import { pastInputs, transformer, weightsOf } from "../../src/nn/transformer.js";
import { float32, int32, type Tensor } from "../../src/tensor.js";
import { closeTo, closeToNumber, goldenDir, readGolden } from "../helpers/golden.js";

const folder = join(goldenDir(), "smollm2");
const engine = ortEngine();
let model: CausalLM;
const skip = existsSync(folder) ? await reasonToSkip() : `there is no ${folder}`;
const options = skip === undefined ? {} : { skip };

async function reasonToSkip(): Promise<string | undefined> {
  if (await pulledFile("smollm2-135m")) return undefined;
  try {
    await pull("smollm2-135m", { signal: AbortSignal.timeout(120_000) });
    return undefined;
  } catch (error) {
    return `smollm2-135m is not in the cache and could not be pulled (${(error as Error).message.slice(0, 120)})`;
  }
}

before(async () => {
  if (skip === undefined) model = await loadModel("smollm2-135m");
});

interface TokenizerItem {
  readonly text: string;
  readonly ids: number[];
  readonly decoded: string;
  readonly decoded_skip_special: string;
  readonly ids_specials_as_text?: number[];
}
interface TokenizerExpected {
  readonly items: readonly TokenizerItem[];
  readonly streaming?: Readonly<Record<string, { readonly ids: number[]; readonly prefix_decodes: readonly string[] }>>;
}

test("smollm2: the tokenizer rebuilt from the GGUF gives the same ids and texts", options, () => {
  const { expected } = readGolden<unknown, TokenizerExpected>("smollm2/tokenizer.json");
  const { tokenizer } = model;
  for (const { text, ids, decoded, decoded_skip_special, ids_specials_as_text: literal } of expected.items) {
    assert.deepEqual(tokenizer.encode(text), ids, JSON.stringify(text));
    if (literal) assert.deepEqual(tokenizer.encode(text, { parseSpecial: false }), literal, JSON.stringify(text));
    assert.equal(tokenizer.decode(ids), decoded, JSON.stringify(text));
    assert.equal(tokenizer.decode(ids, { skipSpecialTokens: true }), decoded_skip_special, JSON.stringify(text));
  }
  for (const [text, { ids, prefix_decodes: decodes }] of Object.entries(expected.streaming ?? {})) {
    decodes.forEach((decoded, i) =>
      assert.equal(tokenizer.decode(ids.slice(0, i + 1)), decoded, `${text}, ${i + 1} tokens`),
    );
  }
});

interface ChatItem {
  readonly messages: readonly ChatMessage[];
  readonly plain: { readonly text: string; readonly ids: number[] };
  readonly with_generation_prompt: { readonly text: string; readonly ids: number[] };
}

test("smollm2: the chat template gives the same text and ids", options, () => {
  const { expected } = readGolden<unknown, { items: readonly ChatItem[] }>("smollm2/chat_template.json");
  for (const { messages, plain, with_generation_prompt: prompt } of expected.items) {
    for (const [addGenerationPrompt, { text, ids }] of [
      [false, plain],
      [true, prompt],
    ] as const) {
      const rendered = model.tokenizer.applyChatTemplate(messages, { addGenerationPrompt });
      assert.equal(rendered, text);
      assert.deepEqual(model.tokenizer.encode(rendered, { addSpecialTokens: false }), ids);
    }
  }
});

test("smollm2: dequantised weights", options, () => {
  const { expected, tolerance } = readGolden<
    unknown,
    Record<string, { shape: number[]; first8: number[]; sum: number; l2: number }>
  >("smollm2/weights.json");
  for (const [name, { shape, first8, sum, l2 }] of Object.entries(expected)) {
    const value = model.params.get(name);
    assert.ok(value, name);
    assert.deepEqual(value.shape, shape);
    closeTo(value.data.subarray(0, 8), first8, { abs: Number(tolerance.abs) }, name);
    let total = 0;
    let squares = 0;
    for (const x of value.data) {
      total += x;
      squares += x * x;
    }
    closeToNumber(total, sum, { abs: Number(tolerance.sum_abs) }, `${name}: sum`);
    closeToNumber(Math.sqrt(squares), l2, { rel: Number(tolerance.abs) }, `${name}: l2`);
  }
});

interface LogprobsExpected {
  readonly next_token: readonly {
    readonly ids: number[];
    readonly top20: readonly { readonly id: number; readonly logprob: number }[];
  }[];
  readonly prompt_response: readonly {
    readonly prompt_ids: number[];
    readonly response_ids: number[];
    readonly response_logprobs: number[];
    readonly sum_logprob: number;
  }[];
  readonly perplexity: readonly {
    readonly ids: number[];
    readonly logprobs: number[];
    readonly mean_nll: number;
    readonly perplexity: number;
  }[];
}

test("smollm2: log-probabilities of next tokens, responses and texts", options, async () => {
  const { expected, tolerance } = readGolden<unknown, LogprobsExpected>("smollm2/logprobs.json");
  const abs = Number(tolerance.logprob_abs);

  const prompts = expected.next_token.map(({ ids }) => ids);
  const [next] = await score(
    prompts,
    prompts.map((ids) => [ids.length - 1, ids.length]),
    true,
  );
  const vocabSize = model.config.vocabSize;
  expected.next_token.forEach(({ top20 }, row) => {
    const logprobs = next.subarray(row * vocabSize, (row + 1) * vocabSize);
    closeTo(
      top20.map(({ id }) => logprobs[id] ?? Number.NaN),
      top20.map(({ logprob }) => logprob),
      { abs },
      `top 20 of prompt ${row}`,
    );
    const ranked = [...logprobs.keys()].sort((a, b) => (logprobs[b] ?? 0) - (logprobs[a] ?? 0)).slice(0, 20);
    ranked.forEach((id, rank) => {
      const wanted = top20[rank];
      if (wanted === undefined || id === wanted.id) return;
      assert.ok(
        Math.abs((logprobs[id] ?? 0) - wanted.logprob) <= 0.001,
        `prompt ${row}, rank ${rank}: ${id} instead of ${wanted.id}`,
      );
    });
  });

  const pairs = expected.prompt_response;
  const responses = await score(
    pairs.map(({ prompt_ids, response_ids }) => [...prompt_ids, ...response_ids]),
    pairs.map(({ prompt_ids, response_ids }) => [prompt_ids.length - 1, prompt_ids.length + response_ids.length - 1]),
  );
  pairs.forEach(({ response_logprobs }, i) => closeTo(responses[i] ?? [], response_logprobs, { abs }, `response ${i}`));

  const texts = expected.perplexity;
  const all = await score(
    texts.map(({ ids }) => ids),
    texts.map(({ ids }) => [0, ids.length - 1]),
  );
  texts.forEach(({ logprobs, perplexity }, i) => {
    const ours = all[i] ?? new Float32Array();
    closeTo(ours, logprobs, { abs }, `text ${i}`);
    const nll = -ours.reduce((sum, x) => sum + x, 0) / ours.length;
    closeToNumber(Math.exp(nll), perplexity, { rel: Number(tolerance.perplexity_rel) }, `perplexity of text ${i}`);
  });
});

/** Log-probs of ids[t + 1] for t in a span of each sequence; or, with `whole`, of the whole vocabulary there, all sequences in one array. */
async function score(
  sequences: readonly number[][],
  spans: readonly (readonly number[])[],
  whole = false,
): Promise<[Float32Array, ...Float32Array[]]> {
  const { batch, length, feeds } = rightPadded(sequences);
  const rows = spans.flatMap(([from = 0, to = 0], b) =>
    Array.from({ length: to - from }, (_, i) => b * length + from + i),
  );
  const targets = rows.map((row) => feeds.inputIds.data[row + 1] ?? 0);
  const graph = new Graph();
  const weights = weightsOf(graph, model.config);
  const { hidden } = transformer(model.config, weights, inputsOf(graph, batch, length, length));
  const logits = lmHead(model.config, weights, selectRows(hidden, graph.constant(int32([rows.length], rows))));
  const logprobs = whole ? logSoftmax(logits) : tokenLogprobs(logits, graph.constant(int32([rows.length], targets)));
  const data = await runOnce(program({ logprobs }), feeds);
  if (whole) return [data];
  let end = 0;
  const [first = new Float32Array(), ...rest] = spans.map(([from = 0, to = 0]) => {
    end += to - from;
    return data.slice(end - (to - from), end);
  });
  return [first, ...rest];
}

test("smollm2: greedy continuations, through the key-value cache", options, async () => {
  const { expected } = readGolden<
    unknown,
    { items: readonly { ids: number[]; new_ids: number[]; top1_top2_gap: number[] }[] }
  >("smollm2/greedy.json");
  const { items } = expected;
  const { config } = model;
  const batch = items.length;
  const length = Math.max(...items.map(({ ids }) => ids.length));
  const steps = Math.max(...items.map(({ new_ids }) => new_ids.length));
  const slots = length + steps;
  const { eosTokenIds } = model.generation;

  const prefillGraph = new Graph();
  const prefill = await compileStep(prefillGraph, batch, length, 0);
  const decode = await compileStep(new Graph(), batch, 1, slots);
  const heads = config.modelType === "gpt2" ? config.numHeads : config.numKeyValueHeads;
  const headDim = config.hiddenSize / config.numHeads;
  const cache = new Map<string, Tensor<"float32">>();
  for (let layer = 0; layer < config.numLayers; layer++) {
    for (const part of ["keys", "values"]) {
      cache.set(
        `past.${layer}.${part}`,
        float32([batch, heads, slots, headDim], new Float32Array(batch * heads * slots * headDim)),
      );
    }
  }
  const mask = new Float32Array(batch * (slots + 1));
  const remember = (outputs: Readonly<Record<string, Tensor>>, at: number, count: number) => {
    for (const [name, { data }] of cache) {
      const fresh = outputs[name.replace("past", "present")]?.data ?? [];
      for (let head = 0; head < batch * heads; head++) {
        for (let i = 0; i < count * headDim; i++)
          data[(head * slots + at) * headDim + i] = fresh[head * count * headDim + i] ?? Number.NaN;
      }
    }
  };
  const argmax = (outputs: Readonly<Record<string, Tensor>>) => {
    const logits = outputs.logits?.data ?? [];
    return items.map((_, b) => {
      let best = 0;
      for (let id = 1; id < config.vocabSize; id++) {
        if ((logits[b * config.vocabSize + id] ?? 0) > (logits[b * config.vocabSize + best] ?? 0)) best = id;
      }
      return best;
    });
  };

  // Left-padded: the last column is everybody's last token.
  const padded = items.flatMap(({ ids }) => [...new Array<number>(length - ids.length).fill(0), ...ids]);
  const real = items.flatMap(({ ids }) => [
    ...new Array<number>(length - ids.length).fill(0),
    ...new Array<number>(ids.length).fill(1),
  ]);
  const positions = items.flatMap(({ ids }) =>
    Array.from({ length }, (_, t) => Math.max(0, t - (length - ids.length))),
  );
  let outputs = await prefill.run({
    inputIds: int32([batch, length], padded),
    positionIds: int32([batch, length], positions),
    attentionMask: float32([batch, length], real),
    ...Object.fromEntries(model.params),
  });
  await prefill.dispose();
  remember(outputs, 0, length);
  for (let b = 0; b < batch; b++) mask.set(real.slice(b * length, (b + 1) * length), b * (slots + 1));
  const produced: number[][] = items.map(() => []);
  for (let step = 0; step < steps; step++) {
    const next = argmax(outputs);
    next.forEach((id, b) => produced[b]?.push(id));
    for (let b = 0; b < batch; b++) mask[b * (slots + 1) + slots] = 1;
    outputs = await decode.run({
      inputIds: int32([batch, 1], next),
      positionIds: int32(
        [batch, 1],
        items.map(({ ids }) => ids.length + step),
      ),
      attentionMask: float32([batch, slots + 1], mask),
      ...Object.fromEntries(cache),
      ...Object.fromEntries(model.params),
    });
    remember(outputs, length + step, 1);
    for (let b = 0; b < batch; b++) mask[b * (slots + 1) + length + step] = 1;
  }
  await decode.dispose();
  items.forEach(({ new_ids, top1_top2_gap }, b) => {
    const undecided = top1_top2_gap.findIndex((gap) => gap < 0.01);
    const compared = undecided < 0 ? new_ids.length : undecided;
    assert.deepEqual(produced[b]?.slice(0, compared), new_ids.slice(0, compared), `prompt ${b}`);
    assert.ok(new_ids.slice(0, -1).every((id) => !eosTokenIds.includes(id)));
  });
});

/** Tokens in; logits of the last column and the new rows of the cache out. */
async function compileStep(graph: Graph, batch: number, length: number, slots: number): Promise<Executable> {
  const { config } = model;
  const weights = weightsOf(graph, config);
  const past = slots > 0 ? pastInputs(graph, config, batch, slots) : undefined;
  const { hidden, presents } = transformer(config, weights, inputsOf(graph, batch, length, slots + length), { past });
  const last = Array.from({ length: batch }, (_, b) => (b + 1) * length - 1);
  const logits = lmHead(config, weights, selectRows(hidden, graph.constant(int32([batch], last))));
  const rows = presents.flatMap(
    ({ keys, values }, layer) =>
      [
        [`present.${layer}.keys`, keys],
        [`present.${layer}.values`, values],
      ] as const,
  );
  return engine.compile(program({ logits: reshape(logits, [batch, config.vocabSize]), ...Object.fromEntries(rows) }));
}

function inputsOf(graph: Graph, batch: number, length: number, maskLength: number) {
  return {
    inputIds: graph.input("inputIds", "int32", [batch, length]),
    positionIds: graph.input("positionIds", "int32", [batch, length]),
    attentionMask: graph.input("attentionMask", "float32", [batch, maskLength]),
  };
}

function rightPadded(sequences: readonly number[][]) {
  const batch = sequences.length;
  const length = Math.max(...sequences.map((ids) => ids.length));
  const fill = (value: (t: number, ids: readonly number[]) => number) =>
    sequences.flatMap((ids) => Array.from({ length }, (_, t) => value(t, ids)));
  const feeds = {
    inputIds: int32(
      [batch, length],
      fill((t, ids) => ids[t] ?? 0),
    ),
    positionIds: int32(
      [batch, length],
      fill((t) => t),
    ),
    attentionMask: float32(
      [batch, length],
      fill((t, ids) => (t < ids.length ? 1 : 0)),
    ),
  };
  return { batch, length, feeds };
}

async function runOnce(what: Program, feeds: Readonly<Record<string, Tensor>>): Promise<Float32Array> {
  const executable = await engine.compile(what);
  try {
    const { logprobs } = await executable.run({ ...feeds, ...Object.fromEntries(model.params) });
    assert.ok(logprobs?.data instanceof Float32Array);
    return logprobs.data;
  } finally {
    await executable.dispose();
  }
}
