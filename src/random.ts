/**
 * Counter-based randomness: a stream is a pure function of (seed, purpose, step, sequence), so that what one
 * sequence draws never depends on what else was drawn, in what order, or in how large a batch.
 * The generator is Philox 4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011),
 * in 32-bit integer arithmetic: the same bits on every machine.
 */

/** One stream of random numbers. Streams hold a position: drawing advances it. */
export interface RandomStream {
  /** The next 32 random bits, as an unsigned integer. */
  bits(): number;
  /** A number in [0, 1), with 53 random bits. */
  uniform(): number;
  /** A number of the standard normal distribution (Box-Muller). */
  normal(): number;
  /** An integer in [0, n), unbiased. */
  integer(n: number): number;
  /** The numbers 0..n-1 in a uniformly random order (Fisher-Yates). */
  permutation(n: number): Int32Array;
}

/** Four or two 32-bit words. */
type Words4 = readonly [number, number, number, number];
type Words2 = readonly [number, number];

/** The high 32 bits of the product of two unsigned 32-bit integers. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const low = aLow * bLow;
  const middle = aHigh * bLow + (low >>> 16);
  const middle2 = aLow * bHigh + (middle % 0x10000);
  return (aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(middle2 / 0x10000)) >>> 0;
}

/** The Philox 4x32 bijection with ten rounds: 128 bits of counter and 64 bits of key give 128 random bits. */
export function philox4x32(counter: Words4, key: Words2): Words4 {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(0xd2511f53, c0);
    const low0 = Math.imul(0xd2511f53, c0) >>> 0;
    const high1 = multiplyHigh(0xcd9e8d57, c2);
    const low1 = Math.imul(0xcd9e8d57, c2) >>> 0;
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0;
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/** FNV-1a over the UTF-8 bytes of a word: tells streams of different purposes apart. */
function hash32(word: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(word)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

function checkCounter(name: string, value: number, limit: number): void {
  if (!Number.isSafeInteger(value) || value < 0 || value >= limit) {
    throw new RangeError(`${name} of a random stream must be an integer from 0 up to ${limit - 1}, not ${value}`);
  }
}

/**
 * The random stream of one purpose ("sample", "minibatch", ...), training step and sequence under a seed.
 * Two calls with the same arguments give two streams with the same numbers.
 * @throws RangeError if seed (below 2^53), step or sequence (below 2^32) is not a non-negative integer.
 */
export function stream(seed: number, purpose: string, step = 0, sequence = 0): RandomStream {
  checkCounter("the seed", seed, Number.MAX_SAFE_INTEGER);
  checkCounter("the step", step, 2 ** 32);
  checkCounter("the sequence", sequence, 2 ** 32);
  const key: Words2 = [seed >>> 0, Math.floor(seed / 2 ** 32)];
  const purposeWord = hash32(purpose);
  let block: Words4 = [0, 0, 0, 0];
  let blocks = 0;
  let used = 4;
  let spareNormal: number | undefined;

  const bits = (): number => {
    if (used === 4) {
      block = philox4x32([blocks++ >>> 0, step, sequence, purposeWord], key);
      used = 0;
    }
    return block[used++] ?? 0;
  };
  const uniform = (): number => ((bits() >>> 5) * 2 ** 26 + (bits() >>> 6)) / 2 ** 53;
  const normal = (): number => {
    if (spareNormal !== undefined) {
      const spare = spareNormal;
      spareNormal = undefined;
      return spare;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
    const angle = 2 * Math.PI * uniform();
    spareNormal = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };
  const integer = (n: number): number => {
    if (!Number.isSafeInteger(n) || n < 1 || n > 2 ** 32) {
      throw new RangeError(`a random integer needs a bound from 1 to 2^32, not ${n}`);
    }
    const fair = 2 ** 32 - (2 ** 32 % n);
    for (;;) {
      const draw = bits();
      if (draw < fair) return draw % n;
    }
  };
  const permutation = (n: number): Int32Array => {
    const order = Int32Array.from({ length: n }, (_, i) => i);
    for (let last = n - 1; last > 0; last--) {
      const other = integer(last + 1);
      const moved = order[last] ?? 0;
      order[last] = order[other] ?? 0;
      order[other] = moved;
    }
    return order;
  };
  return Object.freeze({ bits, uniform, normal, integer, permutation });
}
