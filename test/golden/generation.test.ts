import assert from "node:assert/strict";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { ortEngine } from "../../src/engine/ort.js";
import { programCache } from "../../src/engine/programCache.js";
import { beamSearch } from "../../src/generation/beam.js";
import { type GenerationOptions, generate } from "../../src/generation/generate.js";
import * as processors from "../../src/generation/processors.js";
import { Graph } from "../../src/graph/graph.js";
import { program } from "../../src/graph/program.js";
import { loadModel } from "../../src/models/load.js";
import type { CausalLM } from "../../src/models/model.js";
import { lmHead } from "../../src/nn/heads.js";
import { transformer, weightsOf } from "../../src/nn/transformer.js";
import { float32, int32 } from "../../src/tensor.js";
import { closeTo, goldenCases, goldenDir, readGolden } from "../helpers/golden.js";

interface ProcessorInputs {
  readonly input_ids: readonly (readonly number[])[];
  readonly logits: readonly (readonly number[])[];
  readonly logits_with_nan_inf: readonly (readonly number[])[];
}
type Settings = Readonly<Record<string, unknown>>;
interface ProcessorConfig {
  readonly params: Readonly<Record<string, Settings>>;
  readonly chains: Readonly<Record<string, Settings>>;
  readonly prompt_length_in_chains: number;
}

/** A number among settings that were recorded from Python, where it may stand as "tensor(0.1000)". */
function number(value: unknown): number {
  const text = /^tensor\((.*)\)$/.exec(String(value))?.[1] ?? String(value);
  return Number(text);
}

/** A list of ids, which may stand as "tensor([2, 5])". */
function ids(value: unknown): number[] {
  return (String(value).match(/-?\d+/g) ?? []).map(Number);
}

/** Sequences with their bias, recorded as "{(3,): -2.0, (10, 7): 5.0}". */
function biases(value: unknown): [number[], number][] {
  return [...String(value).matchAll(/\(([^)]*)\): (-?[\d.]+)/g)].map((match) => [ids(match[1]), Number(match[2])]);
}

/** From a case's name without its numbers to the processor it records. */
const make: Readonly<Record<string, (settings: Settings) => processors.LogitsProcessor>> = {
  temperature: (s) => processors.temperature(number(s.temperature)),
  top_k: (s) => processors.topK(number(s.top_k), number(s.min_tokens_to_keep)),
  top_p: (s) => processors.topP(number(s.top_p), number(s.min_tokens_to_keep)),
  min_p: (s) => processors.minP(number(s.min_p), number(s.min_tokens_to_keep)),
  typical: (s) => processors.typical(number(s.mass), number(s.min_tokens_to_keep)),
  epsilon: (s) => processors.epsilonCutoff(number(s.epsilon), number(s.min_tokens_to_keep)),
  eta: (s) => processors.etaCutoff(number(s.epsilon), number(s.min_tokens_to_keep)),
  repetition: (s) =>
    processors.repetitionPenalty(
      number(s.penalty),
      typeof s.prompt_ignore_length === "number" ? s.prompt_ignore_length : 0,
    ),
  no_repeat_ngram: (s) => processors.noRepeatNgram(number(s.ngram_size)),
  min_new_tokens: (s) =>
    processors.minNewTokens(number(s.prompt_length_to_skip), number(s.min_new_tokens), ids(s.eos_token_id)),
  min_length: (s) => processors.minLength(number(s.min_length), ids(s.eos_token_id)),
  bad_words: (s) => processors.badWords(s.bad_word_ids as number[][], []),
  suppress_at_begin: (s) => processors.suppressAtBegin(ids(s.begin_suppress_tokens), number(s.begin_index)),
  suppress: (s) => processors.suppress(ids(s.suppress_tokens)),
  forced_eos: (s) => processors.forcedEos(number(s.max_length), ids(s.eos_token_id)),
  forced_bos: (s) => processors.forcedBos(number(s.bos_token_id)),
  exponential_decay: (s) =>
    processors.exponentialDecay(number(s.regulation_start), number(s.regulation_factor), ids(s.eos_token_id)),
  sequence_bias: (s) => processors.sequenceBias(biases(s.sequence_bias)),
  logit_normalization: () => processors.normalise(),
  inf_nan_remove: () => processors.removeInfNan(),
};

function processorOf(name: string, settings: Settings): processors.LogitsProcessor {
  const kind = Object.keys(make).find((prefix) => name.startsWith(prefix));
  const maker = kind === undefined ? undefined : make[kind];
  assert.ok(maker, `no processor is known for the case ${name}`);
  return maker(settings);
}

function chainOf(settings: Settings, promptLength: number): processors.LogitsProcessor {
  const list = (key: string): number[] | undefined => (settings[key] === undefined ? undefined : ids(settings[key]));
  const maybe = (key: string): number | undefined => (settings[key] === undefined ? undefined : number(settings[key]));
  const options = {
    temperature: maybe("temperature"),
    topK: maybe("top_k"),
    topP: maybe("top_p"),
    minP: maybe("min_p"),
    typicalP: maybe("typical_p"),
    repetitionPenalty: maybe("repetition_penalty"),
    noRepeatNgramSize: maybe("no_repeat_ngram_size"),
    minNewTokens: maybe("min_new_tokens"),
    badWordsIds: settings.bad_words_ids as number[][] | undefined,
    suppressTokens: list("suppress_tokens"),
  };
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const chain = processors.processors(given, { promptLength, maxLength: 64, eosTokenIds: [2] });
  assert.equal(chain.length, (settings.order as unknown[]).length, "number of processors in the chain");
  return (logits, sequence) => {
    for (const processor of chain) processor(logits, sequence);
  };
}

const cases = goldenCases("generation");

if (cases.includes("processors")) {
  describe("golden generation: processors", () => {
    const golden = readGolden<ProcessorInputs, Readonly<Record<string, number[][]>>, ProcessorConfig>(
      "generation/processors.json",
    );
    const { inputs, config } = golden;
    for (const [name, expected] of Object.entries(golden.expected)) {
      test(name, () => {
        const processor = name.startsWith("chain/")
          ? chainOf(config.chains[name.slice("chain/".length)] ?? {}, config.prompt_length_in_chains)
          : processorOf(name, config.params[name] ?? {});
        const rows = name === "inf_nan_remove" ? inputs.logits_with_nan_inf : inputs.logits;
        rows.forEach((row, i) => {
          const logits = Float32Array.from(row);
          processor(logits, inputs.input_ids[i] ?? []);
          closeTo(
            logits,
            Float32Array.from(expected[i] ?? []),
            { abs: Number(golden.tolerance.abs), rel: 1e-6 },
            `row ${i}`,
          );
        });
      });
    }
  });
}

/** Logits `[T][V]` after each token of a sequence, by one pass without a cache. */
async function logitsOf(model: CausalLM, ids: readonly number[]): Promise<Float32Array[]> {
  const graph = new Graph();
  const weights = weightsOf(graph, model.config);
  const shape = [1, ids.length];
  const { hidden } = transformer(model.config, weights, {
    inputIds: graph.input("inputIds", "int32", shape),
    positionIds: graph.input("positionIds", "int32", shape),
    attentionMask: graph.input("attentionMask", "float32", shape),
  });
  const executable = await ortEngine().compile(program({ logits: lmHead(model.config, weights, hidden) }));
  const { logits } = await executable.run({
    ...Object.fromEntries(model.params),
    inputIds: int32(shape, ids),
    positionIds: int32(shape, Int32Array.from(ids.keys())),
    attentionMask: float32(
      shape,
      ids.map(() => 1),
    ),
  });
  await executable.dispose();
  const data = logits?.data as Float32Array;
  const size = model.config.vocabSize;
  return ids.map((_, t) => data.slice(t * size, (t + 1) * size));
}

/** Options of generate() in transformers' names, as these files record them. */
function optionsOf(settings: Settings, maxNewTokens: number): GenerationOptions & { stopTokens: number[] } {
  const given = {
    minNewTokens: settings.min_new_tokens,
    repetitionPenalty: settings.repetition_penalty,
    noRepeatNgramSize: settings.no_repeat_ngram_size,
    badWordsIds: settings.bad_words_ids,
    suppressTokens: settings.suppress_tokens,
    temperature: settings.temperature,
    topK: settings.top_k,
    topP: settings.top_p,
  } as Partial<GenerationOptions>;
  const defined = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const stopTokens = settings.eos_token_id === null ? [] : [settings.eos_token_id ?? []].flat().map(Number);
  return { maxNewTokens, stopTokens, ...defined };
}

if (cases.includes("greedy")) {
  interface GreedyCase {
    readonly single: number[][];
    readonly batch_left_padded: number[][];
    readonly first_prompt_processed_scores?: number[][];
  }
  interface GreedyConfig {
    readonly model: string;
    readonly max_new_tokens: number;
    readonly cases: Readonly<Record<string, Settings>>;
  }
  const golden = readGolden<{ prompts: number[][] }, Record<string, GreedyCase>, GreedyConfig>(
    "generation/greedy.json",
  );
  describe("golden generation: greedy", () => {
    const programs = programCache(ortEngine());
    after(() => programs.dispose());
    for (const [name, settings] of Object.entries(golden.config.cases)) {
      test(name, async () => {
        const model = await loadModel(join(goldenDir(), golden.config.model));
        const expected = golden.expected[name] as GreedyCase;
        const options = { ...optionsOf(settings, golden.config.max_new_tokens), doSample: false };
        const { prompts } = golden.inputs;
        const batch = await generate(programs, model, prompts, options, { seed: 0 });
        assert.deepEqual(
          batch.responseIds.map((ids) => [...ids]),
          expected.single,
        );
        for (const [i, prompt] of prompts.entries()) {
          const { responseIds } = await generate(programs, model, [prompt], options, { seed: 0 });
          assert.deepEqual([...(responseIds[0] ?? [])], expected.single[i]);
        }
        const scores = expected.first_prompt_processed_scores;
        if (!scores) return;
        const [prompt = []] = prompts;
        const response = expected.single[0] ?? [];
        const logits = (await logitsOf(model, [...prompt, ...response])).slice(prompt.length - 1, -1);
        const sequence = {
          promptLength: prompt.length,
          maxLength: prompt.length + golden.config.max_new_tokens,
          eosTokenIds: options.stopTokens,
        };
        const chain = processors.processors(options, sequence);
        logits.forEach((row, t) => {
          for (const processor of chain) processor(row, [...prompt, ...response.slice(0, t)]);
          closeTo(row, scores[t] ?? [], { abs: Number(golden.tolerance.scores_abs) }, `scores of step ${t}`);
        });
      });
    }
  });
}

if (cases.includes("sampling_scores")) {
  const golden = readGolden<
    { prompt: number[]; sampled_tokens: number[] },
    { logits: number[][]; scores: number[][] },
    Settings
  >("generation/sampling_scores.json");
  test("golden generation: logits and processed scores of a sampled run", async () => {
    const model = await loadModel(join(goldenDir(), String(golden.config.model)));
    const { prompt, sampled_tokens: sampled } = golden.inputs;
    const logits = (await logitsOf(model, [...prompt, ...sampled])).slice(prompt.length - 1, -1);
    const chain = processors.processors(optionsOf(golden.config, sampled.length), {
      promptLength: prompt.length,
      maxLength: prompt.length + sampled.length,
      eosTokenIds: [],
    });
    const tolerance = { abs: Number(golden.tolerance.abs) };
    logits.forEach((row, t) => {
      closeTo(row, golden.expected.logits[t] ?? [], tolerance, `logits of step ${t}`);
      for (const processor of chain) processor(row, [...prompt, ...sampled.slice(0, t)]);
      closeTo(row, golden.expected.scores[t] ?? [], tolerance, `scores of step ${t}`);
    });
  });
}

if (cases.includes("beam")) {
  interface BeamCase {
    readonly sequences: number[][];
    readonly sequences_scores: number[];
  }
  interface BeamConfig {
    readonly model: string;
    readonly cases: Readonly<Record<string, Settings>>;
  }
  const golden = readGolden<{ prompts: number[][] }, Record<string, BeamCase[]>, BeamConfig>("generation/beam.json");
  describe("golden generation: beam search", () => {
    const programs = programCache(ortEngine());
    after(() => programs.dispose());
    for (const [name, settings] of Object.entries(golden.config.cases)) {
      test(name, async () => {
        const model = await loadModel(join(goldenDir(), golden.config.model));
        const options = {
          ...optionsOf(settings, Number(settings.max_new_tokens)),
          numBeams: Number(settings.num_beams),
          lengthPenalty: Number(settings.length_penalty ?? 1),
          earlyStopping: (settings.early_stopping ?? false) as boolean | "never",
        };
        for (const [i, prompt] of golden.inputs.prompts.entries()) {
          const found = await beamSearch(programs, model, prompt, options);
          const expected = golden.expected[name]?.[i];
          const returned = found.slice(0, Number(settings.num_return_sequences));
          // What stands after a hypothesis's stop token is padding.
          const cut = (ids: number[]): number[] => {
            const end = ids.findIndex((id) => options.stopTokens.includes(id));
            return end < 0 ? ids : ids.slice(0, end + 1);
          };
          assert.deepEqual(
            returned.map(({ responseIds }) => [...responseIds]),
            expected?.sequences.map(cut),
          );
          const scores = returned.map(({ score }) => score);
          closeTo(scores, expected?.sequences_scores ?? [], { abs: Number(golden.tolerance.scores_abs) }, "scores");
        }
      });
    }
  });
}
