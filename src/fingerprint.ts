import type { Params, Tensor } from "./tensor.js";

/**
 * A 128-bit fingerprint of a set of named tensors, as 32 hexadecimal digits: equal bytes, names and shapes give equal
 * fingerprints, and others differ in all but deliberately made cases (it is no cryptographic hash).
 * About a second per 1,000 million parameters; a tensor that was hashed before is not read again.
 */
export function fingerprint(params: Params | ReadonlyMap<string, Tensor>): string {
  const lanes = Uint32Array.from(seeds);
  for (const name of [...params.keys()].sort()) {
    const value = params.get(name);
    if (!value) continue;
    absorb(lanes, padded(new TextEncoder().encode(`${name}:${value.dtype}[${value.shape.join(",")}]`)));
    absorb(lanes, tensorHash(value));
  }
  return hex(lanes);
}

/** {@link fingerprint} of anything that JSON can write, by its text. */
export function fingerprintText(text: string): string {
  const lanes = Uint32Array.from(seeds);
  absorb(lanes, padded(new TextEncoder().encode(text)));
  return hex(lanes);
}

const hashes = new WeakMap<Tensor, Uint32Array>();

function tensorHash(value: Tensor): Uint32Array {
  const known = hashes.get(value);
  if (known) return known;
  const { data } = value;
  const lanes = Uint32Array.from(seeds);
  if (data.BYTES_PER_ELEMENT === 4) absorb(lanes, new Uint32Array(data.buffer, data.byteOffset, data.length));
  else absorb(lanes, padded(new Uint8Array(data.buffer, data.byteOffset, data.byteLength)));
  const hash = Uint32Array.from(finish(lanes));
  hashes.set(value, hash);
  return hash;
}

// The round and the constants are those of xxHash32, with its four lanes kept apart to the end.
const prime1 = 0x9e3779b1;
const prime2 = 0x85ebca77;
const prime3 = 0xc2b2ae3d;
const seeds = [prime1, prime2, prime3, 0x27d4eb2f];

function absorb(lanes: Uint32Array, words: Uint32Array): void {
  let [a = 0, b = 0, c = 0, d = 0] = lanes;
  const whole = words.length - (words.length % 4);
  for (let i = 0; i < whole; i += 4) {
    a = round(a, words[i] as number);
    b = round(b, words[i + 1] as number);
    c = round(c, words[i + 2] as number);
    d = round(d, words[i + 3] as number);
  }
  if (whole < words.length) a = round(a, words[whole] ?? 0);
  if (whole + 1 < words.length) b = round(b, words[whole + 1] ?? 0);
  if (whole + 2 < words.length) c = round(c, words[whole + 2] ?? 0);
  lanes[0] = a;
  lanes[1] = b;
  lanes[2] = c;
  lanes[3] = round(d, words.length);
}

function round(lane: number, word: number): number {
  const mixed = (lane + Math.imul(word, prime2)) | 0;
  return Math.imul((mixed << 13) | (mixed >>> 19), prime1);
}

/** Lets every bit of every lane reach all the others. */
function finish(lanes: Uint32Array): number[] {
  let [a = 0, b = 0, c = 0, d = 0] = lanes;
  for (let i = 0; i < 2; i++) {
    a = avalanche((a + b) ^ d);
    b = avalanche((b + c) ^ a);
    c = avalanche((c + d) ^ b);
    d = avalanche((d + a) ^ c);
  }
  return [a >>> 0, b >>> 0, c >>> 0, d >>> 0];
}

function avalanche(value: number): number {
  let x = Math.imul(value ^ (value >>> 15), prime2);
  x = Math.imul(x ^ (x >>> 13), prime3);
  return x ^ (x >>> 16);
}

function padded(bytes: Uint8Array): Uint32Array {
  const whole = new Uint8Array(Math.ceil(bytes.length / 4) * 4 + 4);
  whole.set(bytes);
  new DataView(whole.buffer).setUint32(whole.length - 4, bytes.length, true);
  return new Uint32Array(whole.buffer);
}

function hex(lanes: Uint32Array): string {
  return finish(lanes)
    .map((lane) => lane.toString(16).padStart(8, "0"))
    .join("");
}
