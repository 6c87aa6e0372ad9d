/**
 * Logits processors and warpers: what stands between the model's logits and the choice of a token.
 * Names, meanings and order are those of transformers' `generate()` (generation/logits_process.py), so that numbers can be compared.
 */

/**
 * Changes one row of logits `[V]` in place, given the ids of the sequence so far (prompt, then what was generated).
 * `-Infinity` marks a token that cannot be chosen. A processor reads nothing else and keeps no state.
 */
export type LogitsProcessor = (logits: Float32Array, ids: readonly number[]) => void;

const removed = Number.NEGATIVE_INFINITY;

function at(logits: Float32Array, index: number): number {
  return logits[index] ?? removed;
}

function check(condition: boolean, name: string, value: unknown, expected: string): void {
  if (!condition) throw new RangeError(`${name} is ${String(value)}: expected ${expected}`);
}

/** Softmax probabilities `[V]` of a row, in double precision; removed tokens have probability 0. */
export function softmax(logits: Float32Array): Float64Array {
  const probabilities = new Float64Array(logits.length);
  let max = removed;
  for (const logit of logits) if (logit > max) max = logit;
  let sum = 0;
  for (let i = 0; i < logits.length; i++) {
    const logit = logits[i] as number;
    if (logit === removed) continue;
    const weight = Math.exp(logit - max);
    probabilities[i] = weight;
    sum += weight;
  }
  for (let i = 0; i < logits.length; i++) probabilities[i] = (probabilities[i] as number) / sum;
  return probabilities;
}

/** log(sum(exp(row))), in double precision. */
export function logSumExp(logits: Float32Array): number {
  let max = removed;
  for (const logit of logits) if (logit > max) max = logit;
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - max);
  return max + Math.log(sum);
}

/** The k-th largest value of a row (the smallest of all if k is larger than the row): a heap of k values, one pass. */
export function kthLargest(values: ArrayLike<number>, k: number): number {
  const size = Math.min(k, values.length);
  const heap = new Float64Array(size).fill(removed);
  const replaceSmallest = (value: number): void => {
    let hole = 0;
    for (;;) {
      let child = 2 * hole + 1;
      if (child >= size) break;
      if (child + 1 < size && (heap[child + 1] ?? 0) < (heap[child] ?? 0)) child++;
      if ((heap[child] ?? 0) >= value) break;
      heap[hole] = heap[child] ?? 0;
      hole = child;
    }
    heap[hole] = value;
  };
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? removed;
    if (value > (heap[0] ?? removed)) replaceSmallest(value);
  }
  return heap[0] ?? removed;
}

/** Divides the logits by a temperature above 0. */
export function temperature(value: number): LogitsProcessor {
  check(
    value > 0 && Number.isFinite(value),
    "temperature",
    value,
    "a positive number (for greedy choice: doSample false)",
  );
  return (logits) => {
    for (let i = 0; i < logits.length; i++) logits[i] = at(logits, i) / value;
  };
}

/** Keeps the `k` largest logits, and those equal to the smallest of them. */
export function topK(k: number, minTokensToKeep = 1): LogitsProcessor {
  check(Number.isInteger(k) && k > 0, "topK", k, "a positive integer (0 in the options turns it off)");
  return (logits) => {
    const threshold = kthLargest(logits, Math.max(k, minTokensToKeep));
    for (let i = 0; i < logits.length; i++) if (at(logits, i) < threshold) logits[i] = removed;
  };
}

/** Nucleus sampling (Holtzman et al. 2020): keeps the smallest set of most probable tokens whose probability reaches `p`. */
export function topP(p: number, minTokensToKeep = 1): LogitsProcessor {
  check(p >= 0 && p <= 1, "topP", p, "a number from 0 to 1");
  return (logits) => {
    const probabilities = softmax(logits);
    // All tokens at or below this bound together cannot exceed 1 - p: they go without being sorted.
    const negligible = (1 - p) / logits.length;
    let cumulative = 0;
    let count = 0;
    const rising = new Float64Array(logits.length);
    for (let i = 0; i < logits.length; i++) {
      const probability = probabilities[i] as number;
      if (probability > negligible) rising[count++] = probability;
      else cumulative += probability;
    }
    const sorted = rising.subarray(0, count).sort();
    let first = 0;
    while (first < count - minTokensToKeep && cumulative + (sorted[first] as number) <= 1 - p) {
      cumulative += sorted[first++] as number;
    }
    if (count - first < minTokensToKeep) return topK(minTokensToKeep)(logits, []);
    const smallest = sorted[first] as number;
    // Of equals at the border, those with the smaller ids go.
    let equalsToRemove = first - sorted.indexOf(smallest);
    for (let i = 0; i < logits.length; i++) {
      const probability = probabilities[i] as number;
      if (probability < smallest || (probability === smallest && equalsToRemove-- > 0)) logits[i] = removed;
    }
  };
}

/** Removes tokens less probable than `p` times the most probable one. */
export function minP(p: number, minTokensToKeep = 1): LogitsProcessor {
  check(p >= 0 && p <= 1, "minP", p, "a number from 0 to 1");
  return (logits) => {
    const probabilities = softmax(logits);
    let largest = 0;
    for (const probability of probabilities) if (probability > largest) largest = probability;
    removeBelow(logits, probabilities, p * largest, minTokensToKeep);
  };
}

/** Locally typical sampling (Meister et al. 2022): keeps the tokens whose surprise is nearest to the entropy, up to probability `mass`. */
export function typical(mass: number, minTokensToKeep = 1): LogitsProcessor {
  check(mass > 0 && mass < 1, "typicalP", mass, "a number between 0 and 1");
  return (logits) => {
    const probabilities = softmax(logits);
    const entropy = entropyOf(probabilities);
    const distance = Float64Array.from(probabilities, (p) => Math.abs(-Math.log(p) - entropy));
    const order = Array.from(distance.keys()).sort((a, b) => (distance[a] ?? 0) - (distance[b] ?? 0));
    let cumulative = 0;
    let last = 0;
    for (const index of order) {
      cumulative += probabilities[index] ?? 0;
      if (cumulative >= mass) break;
      last++;
    }
    const bound = distance[order[Math.min(last, order.length - 1)] ?? 0] ?? 0;
    order.forEach((index, rank) => {
      if ((distance[index] ?? 0) > bound && rank >= minTokensToKeep) logits[index] = removed;
    });
  };
}

/** Removes tokens with probability below `epsilon` (Hewitt et al. 2022); the most probable one stays. */
export function epsilonCutoff(epsilon: number, minTokensToKeep = 1): LogitsProcessor {
  check(epsilon > 0 && epsilon < 1, "epsilonCutoff", epsilon, "a number between 0 and 1");
  return (logits) => removeBelow(logits, softmax(logits), epsilon, minTokensToKeep);
}

/** Eta sampling (Hewitt et al. 2022): the bound is min(epsilon, sqrt(epsilon) exp(-entropy)). */
export function etaCutoff(epsilon: number, minTokensToKeep = 1): LogitsProcessor {
  check(epsilon > 0 && epsilon < 1, "etaCutoff", epsilon, "a number between 0 and 1");
  return (logits) => {
    const probabilities = softmax(logits);
    const eta = Math.min(epsilon, Math.sqrt(epsilon) * Math.exp(-entropyOf(probabilities)));
    removeBelow(logits, probabilities, eta, minTokensToKeep);
  };
}

function entropyOf(probabilities: Float64Array): number {
  let entropy = 0;
  for (const p of probabilities) if (p > 0) entropy -= p * Math.log(p);
  return entropy;
}

function removeBelow(logits: Float32Array, probabilities: Float64Array, bound: number, minTokensToKeep: number): void {
  const always = kthLargest(logits, minTokensToKeep);
  for (let i = 0; i < logits.length; i++) {
    if ((probabilities[i] ?? 0) < bound && at(logits, i) < always) logits[i] = removed;
  }
}

/** Makes tokens that are in the sequence less likely (CTRL, Keskar et al. 2019): positive logits are divided, negative ones multiplied. */
export function repetitionPenalty(penalty: number, ignoreFirst = 0): LogitsProcessor {
  check(penalty > 0, "repetitionPenalty", penalty, "a positive number");
  return (logits, ids) => {
    for (const id of new Set(ids.slice(ignoreFirst))) {
      const logit = at(logits, id);
      logits[id] = logit < 0 ? logit * penalty : logit / penalty;
    }
  };
}

/** Removes every token that would complete an n-gram which is in the sequence already. */
export function noRepeatNgram(size: number): LogitsProcessor {
  check(Number.isInteger(size) && size > 0, "noRepeatNgramSize", size, "a positive integer");
  return (logits, ids) => {
    const tail = ids.length - (size - 1);
    for (let start = 0; start + size <= ids.length; start++) {
      let same = true;
      for (let i = 0; i < size - 1 && same; i++) same = ids[start + i] === ids[tail + i];
      const completes = ids[start + size - 1];
      if (same && completes !== undefined) logits[completes] = removed;
    }
  };
}

/** No end of sequence before `minNewTokens` tokens follow a prompt of `promptLength`. */
export function minNewTokens(promptLength: number, count: number, eosTokenIds: readonly number[]): LogitsProcessor {
  return minLength(promptLength + count, eosTokenIds);
}

/** No end of sequence before the sequence, prompt included, has `length` tokens. */
export function minLength(length: number, eosTokenIds: readonly number[]): LogitsProcessor {
  return (logits, ids) => {
    if (ids.length < length) for (const id of eosTokenIds) logits[id] = removed;
  };
}

/** Adds a bias to the last token of each given sequence where its other tokens have just been written. */
export function sequenceBias(biases: readonly (readonly [ids: readonly number[], bias: number])[]): LogitsProcessor {
  for (const [ids] of biases) check(ids.length > 0, "a sequence of sequenceBias or badWordsIds", "empty", "token ids");
  return (logits, written) => {
    for (const [ids, bias] of biases) {
      const last = ids[ids.length - 1] ?? 0;
      const prefix = ids.length - 1;
      if (prefix > 0 && ids.length > written.length) continue;
      let same = true;
      for (let i = 0; i < prefix && same; i++) same = written[written.length - prefix + i] === ids[i];
      if (same) logits[last] = at(logits, last) + bias;
    }
  };
}

/** Sequences of tokens that must not be written; one that is a lone end-of-sequence token is ignored. */
export function badWords(sequences: readonly (readonly number[])[], eosTokenIds: readonly number[]): LogitsProcessor {
  const isEos = (ids: readonly number[]): boolean => ids.length === 1 && eosTokenIds.includes(ids[0] ?? -1);
  return sequenceBias(sequences.filter((ids) => !isEos(ids)).map((ids) => [ids, removed] as const));
}

/** Tokens that must not be written. */
export function suppress(tokens: readonly number[]): LogitsProcessor {
  return (logits) => {
    for (const id of tokens) logits[id] = removed;
  };
}

/** Tokens that must not be the first one written; `beginIndex` is the length of the sequence at that moment. */
export function suppressAtBegin(tokens: readonly number[], beginIndex: number): LogitsProcessor {
  return (logits, ids) => {
    if (ids.length === beginIndex) for (const id of tokens) logits[id] = removed;
  };
}

function force(logits: Float32Array, tokens: readonly number[]): void {
  logits.fill(removed);
  for (const id of tokens) logits[id] = 0;
}

/** The first token of an empty-but-for-one sequence is `bosTokenId`. */
export function forcedBos(bosTokenId: number): LogitsProcessor {
  return (logits, ids) => {
    if (ids.length === 1) force(logits, [bosTokenId]);
  };
}

/** The token that reaches `maxLength` (prompt included) is an end of sequence. */
export function forcedEos(maxLength: number, eosTokenIds: readonly number[]): LogitsProcessor {
  return (logits, ids) => {
    if (ids.length === maxLength - 1) force(logits, eosTokenIds);
  };
}

/** From a length of `start` on, the end of sequence becomes exponentially more attractive. */
export function exponentialDecay(start: number, factor: number, eosTokenIds: readonly number[]): LogitsProcessor {
  return (logits, ids) => {
    if (ids.length <= start) return;
    const growth = factor ** (ids.length - start) - 1;
    for (const id of eosTokenIds) logits[id] = at(logits, id) + Math.abs(at(logits, id)) * growth;
  };
}

/** NaN becomes 0, infinities become the largest float32 numbers. */
export function removeInfNan(): LogitsProcessor {
  const largest = 3.4028234663852886e38;
  return (logits) => {
    for (let i = 0; i < logits.length; i++) {
      const logit = at(logits, i);
      logits[i] = Number.isNaN(logit) ? 0 : Math.min(largest, Math.max(-largest, logit));
    }
  };
}

/** Log-probabilities in place of logits. */
export function normalise(): LogitsProcessor {
  return (logits) => {
    const total = logSumExp(logits);
    for (let i = 0; i < logits.length; i++) logits[i] = at(logits, i) - total;
  };
}

/** What of the generation options decides the processors. Each is off when absent or at its neutral value. */
export interface ProcessorOptions {
  readonly sequenceBias?: readonly (readonly [ids: readonly number[], bias: number])[];
  readonly repetitionPenalty?: number;
  readonly noRepeatNgramSize?: number;
  readonly badWordsIds?: readonly (readonly number[])[];
  readonly minLength?: number;
  readonly minNewTokens?: number;
  readonly forcedBosTokenId?: number;
  readonly forcedEosTokenIds?: readonly number[];
  readonly removeInvalidValues?: boolean;
  /** [tokens after the prompt at which it starts, factor] */
  readonly exponentialDecay?: readonly [start: number, factor: number];
  readonly suppressTokens?: readonly number[];
  readonly beginSuppressTokens?: readonly number[];
  readonly doSample?: boolean;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly typicalP?: number;
  readonly epsilonCutoff?: number;
  readonly etaCutoff?: number;
  readonly renormalizeLogits?: boolean;
}

/**
 * The processors that the options ask for, in `generate()`'s order. Warpers (temperature, top-k, ...) are there only when sampling.
 * @param promptLength tokens of the prompt, as in the ids that the processors will see
 * @param maxLength prompt and response together, for `forcedEosTokenIds`
 */
export function processors(
  options: ProcessorOptions,
  sequence: { readonly promptLength: number; readonly maxLength: number; readonly eosTokenIds: readonly number[] },
): LogitsProcessor[] {
  const { promptLength, maxLength, eosTokenIds } = sequence;
  const chain: LogitsProcessor[] = [];
  const o = options;
  if (o.sequenceBias) chain.push(sequenceBias(o.sequenceBias));
  if (o.repetitionPenalty !== undefined && o.repetitionPenalty !== 1)
    chain.push(repetitionPenalty(o.repetitionPenalty));
  if (o.noRepeatNgramSize) chain.push(noRepeatNgram(o.noRepeatNgramSize));
  if (o.badWordsIds) chain.push(badWords(o.badWordsIds, eosTokenIds));
  if (o.minLength && eosTokenIds.length > 0) chain.push(minLength(o.minLength, eosTokenIds));
  if (o.minNewTokens && eosTokenIds.length > 0) chain.push(minNewTokens(promptLength, o.minNewTokens, eosTokenIds));
  if (o.forcedBosTokenId !== undefined) chain.push(forcedBos(o.forcedBosTokenId));
  if (o.forcedEosTokenIds) chain.push(forcedEos(maxLength, o.forcedEosTokenIds));
  if (o.removeInvalidValues) chain.push(removeInfNan());
  if (o.exponentialDecay) {
    chain.push(exponentialDecay(promptLength + o.exponentialDecay[0], o.exponentialDecay[1], eosTokenIds));
  }
  if (o.suppressTokens) chain.push(suppress(o.suppressTokens));
  if (o.beginSuppressTokens) chain.push(suppressAtBegin(o.beginSuppressTokens, promptLength));
  if (o.doSample ?? true) {
    if (o.temperature !== undefined && o.temperature !== 1) chain.push(temperature(o.temperature));
    if (o.topK) chain.push(topK(o.topK));
    if (o.topP !== undefined && o.topP !== 1) chain.push(topP(o.topP));
    if (o.minP) chain.push(minP(o.minP));
    if (o.typicalP !== undefined && o.typicalP !== 1) chain.push(typical(o.typicalP));
    if (o.epsilonCutoff) chain.push(epsilonCutoff(o.epsilonCutoff));
    if (o.etaCutoff) chain.push(etaCutoff(o.etaCutoff));
  }
  if (o.renormalizeLogits) chain.push(normalise());
  return chain;
}
