import type { ProgramCache } from "../engine/programCache.js";
import { Decoder, type GeneratingModel } from "./decoder.js";
import { checkRequest } from "./generate.js";
import { kthLargest, type ProcessorOptions, processors } from "./processors.js";

/** How beams are searched; warpers of the {@link ProcessorOptions} play no part. */
export interface BeamOptions extends Omit<ProcessorOptions, "doSample"> {
  readonly maxNewTokens: number;
  readonly numBeams: number;
  /** Exponent of the length that a hypothesis's log-probability is divided by; 1 by default, larger favours longer ones. */
  readonly lengthPenalty?: number;
  /**
   * When to stop: `true` as soon as there are `numBeams` finished hypotheses, `false` (default) when a better one is
   * unlikely, `"never"` when a better one is impossible.
   */
  readonly earlyStopping?: boolean | "never";
  /** Tokens that end a hypothesis, in place of the model's own. */
  readonly stopTokens?: readonly number[];
}

/** A finished hypothesis. */
export interface Hypothesis {
  /** Without the prompt; the stop token is there where one was written. */
  readonly responseIds: Int32Array;
  /** Sum of the (processed) log-probabilities, divided by length to the power of the length penalty. */
  readonly score: number;
}

/** What masks a score out, as in transformers: far below any log-probability. */
const out = -1e9;

/**
 * Beam search over one prompt: up to `numBeams` hypotheses, best first. The algorithm, down to its choice of candidates and
 * its stopping rules, is that of transformers' `_beam_search` (generation/utils.py), whose results it reproduces.
 */
export async function beamSearch(
  programs: ProgramCache,
  model: GeneratingModel,
  prompt: readonly number[],
  options: BeamOptions,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<Hypothesis[]> {
  const { numBeams, maxNewTokens, lengthPenalty = 1, earlyStopping = false } = options;
  if (!Number.isInteger(numBeams) || numBeams < 1) {
    throw new RangeError(`numBeams is ${numBeams}: expected a positive integer`);
  }
  checkRequest(model, [prompt], options);
  const stops = new Set(options.stopTokens ?? model.generation.eosTokenIds);
  const chain = processors(
    { ...options, doSample: false },
    { promptLength: prompt.length, maxLength: prompt.length + maxNewTokens, eosTokenIds: [...stops] },
  );
  // So many candidates that numBeams of them go on even if every other one is a stop token.
  const candidateCount = Math.max(2, 1 + stops.size) * numBeams;
  let running: Beam[] = Array.from({ length: numBeams }, (_, i) => ({ ids: [], score: i === 0 ? 0 : out }));
  let finished: Finished[] = Array.from({ length: numBeams }, () => ({ ids: [], score: out, done: false }));
  let improvable = true;
  const copies = Array.from({ length: numBeams }, () => prompt);
  const decoder = await Decoder.start(programs, model, copies, maxNewTokens, signal);

  for (let length = 1; length <= maxNewTokens; length++) {
    signal?.throwIfAborted();
    const candidates: Candidate[] = [];
    for (const [row, beam] of running.entries()) {
      const logprobs = decoder.logprobs(row);
      for (const processor of chain) processor(logprobs, [...prompt, ...beam.ids]);
      const total = Float64Array.from(logprobs, (logprob) => logprob + beam.score);
      for (const tokenId of largest(total, candidateCount)) {
        candidates.push({ row, tokenId, ids: [...beam.ids, tokenId], score: total[tokenId] ?? out });
      }
    }
    const top = best(candidates, candidateCount).map((candidate) => ({
      ...candidate,
      stops: stops.has(candidate.tokenId) || length === maxNewTokens,
    }));

    // Only the first numBeams candidates may finish; the others are there to take their place.
    const full = earlyStopping === true && finished.every(({ done }) => done);
    const justFinished = top.map(({ ids, score, stops: stopping }, rank) => {
      const done = stopping && rank < numBeams;
      const masks = (full ? out : 0) + (improvable ? 0 : out) + (done ? 0 : out);
      return { ids, score: score / length ** lengthPenalty + masks, done };
    });
    finished = best([...finished, ...justFinished], numBeams);

    const next = best(
      top.map((candidate) => ({ ...candidate, score: candidate.score + (candidate.stops ? out : 0) })),
      numBeams,
    );
    running = next;
    const hypothetical = earlyStopping === "never" && lengthPenalty > 0 ? maxNewTokens : length;
    const bestPossible = (running[0]?.score ?? out) / hypothetical ** lengthPenalty;
    const worst = Math.min(...finished.map(({ score }) => score));
    improvable &&= finished.some(({ done }) => bestPossible > (done ? worst : out));
    const open = !(earlyStopping === true && finished.every(({ done }) => done));
    if (!improvable || !open || top.every(({ stops: stopping }) => stopping)) break;

    decoder.keep(next.map(({ row }) => row));
    await decoder.next(
      next.map(({ tokenId }) => tokenId),
      signal,
    );
  }
  return finished
    .filter(({ done }) => done)
    .map(({ ids, score }) => Object.freeze({ responseIds: Int32Array.from(ids), score }));
}

interface Beam {
  readonly ids: readonly number[];
  readonly score: number;
}
interface Finished extends Beam {
  readonly done: boolean;
}
interface Candidate extends Beam {
  readonly row: number;
  readonly tokenId: number;
}

/** The `count` beams with the largest scores, best first; of equals the first. */
function best<B extends Beam>(beams: readonly B[], count: number): B[] {
  return [...beams].sort((a, b) => b.score - a.score).slice(0, count);
}

/** Indices of the `count` largest values. */
function largest(values: Float64Array, count: number): number[] {
  const bound = kthLargest(values, count);
  const found: number[] = [];
  for (const [i, value] of values.entries()) if (value >= bound) found.push(i);
  return found.sort((a, b) => (values[b] ?? 0) - (values[a] ?? 0)).slice(0, count);
}
