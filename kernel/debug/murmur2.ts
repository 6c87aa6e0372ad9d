/** Murmur2 of the text's UTF-8 bytes: how Jupyter front ends name the file that stands for a cell. 32 bits, unsigned. */
export function murmur2(text: string, seed: number): number {
  const data = new TextEncoder().encode(text);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const m = 0x5bd1e995;
  let hash = (seed ^ data.length) >>> 0;
  let at = 0;
  for (; at + 4 <= data.length; at += 4) {
    let k = Math.imul(view.getUint32(at, true), m);
    k = Math.imul(k ^ (k >>> 24), m);
    hash = Math.imul(hash, m) ^ k;
  }
  const rest = data.length - at;
  if (rest >= 3) hash ^= (data[at + 2] ?? 0) << 16;
  if (rest >= 2) hash ^= (data[at + 1] ?? 0) << 8;
  if (rest >= 1) hash = Math.imul(hash ^ (data[at] ?? 0), m);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, m);
  return (hash ^ (hash >>> 15)) >>> 0;
}
