import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as processors from "../../src/generation/processors.js";
import { closeTo, goldenCases, readGolden } from "../helpers/golden.js";

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

describe("golden generation: processors", {
  skip: !goldenCases("generation").includes("processors") && "not in this set",
}, () => {
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
