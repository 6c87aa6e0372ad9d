import { stream } from "../../src/random.js";

/** Damages bytes in one of many ways, the same for the same seed: flipped bits, cut ends, huge lengths, swapped pieces. */
export function damaged(bytes: Uint8Array, seed: number): Uint8Array {
  const random = stream(seed, "damage", 0, 0);
  const below = (limit: number) => Math.floor(random.uniform() * limit);
  // Most of what can go wrong is in the first bytes: headers, lengths, offsets.
  const place = (room: number) => (random.uniform() < 0.7 ? below(Math.min(room, 600)) : below(room));
  let result = Uint8Array.from(bytes);
  for (let times = 1 + below(3); times > 0; times--) {
    if (result.length < 16) return result;
    const at = place(result.length - 8);
    switch (below(6)) {
      case 0:
        result[at] = (result[at] ?? 0) ^ (1 << below(8));
        break;
      case 1:
        result = result.slice(0, at);
        break;
      case 2:
        new DataView(result.buffer).setBigUint64(
          at,
          [0n, 1n, 0xffffffffn, 2n ** 40n, 2n ** 63n - 1n, 2n ** 64n - 1n][below(6)] ?? 0n,
          true,
        );
        break;
      case 3:
        for (let i = 0; i < 8; i++) result[at + i] = below(256);
        break;
      case 4:
        result.copyWithin(at, place(result.length - 8), place(result.length));
        break;
      default:
        result = Buffer.concat([result.subarray(0, at), result.subarray(at, at + below(64)), result.subarray(at)]);
        result = Uint8Array.from(result);
    }
  }
  return result;
}

/** Damages a JSON text: the value at a random place becomes something else, or the text itself is damaged. */
export function damagedJson(text: string, seed: number): string {
  const random = stream(seed, "damage", 1, 0);
  const below = (limit: number) => Math.floor(random.uniform() * limit);
  if (random.uniform() < 0.3) return Buffer.from(damaged(Buffer.from(text), seed)).toString("utf8");
  const odd: readonly unknown[] = [
    null,
    -1,
    0,
    1e300,
    2 ** 53,
    "",
    "odd",
    "\u0000",
    [],
    {},
    [[]],
    true,
    { type: "Sequence" },
    ["a"],
    0.5,
  ];
  const root: unknown = JSON.parse(text);
  let node: unknown = root;
  for (let depth = 0; depth < 8; depth++) {
    if (typeof node !== "object" || node === null) break;
    const keys = Object.keys(node);
    const key = keys[below(keys.length)];
    if (key === undefined) break;
    const inner: unknown = Reflect.get(node, key);
    if (typeof inner === "object" && inner !== null && Object.keys(inner).length > 0 && random.uniform() < 0.7) {
      node = inner;
      continue;
    }
    if (random.uniform() < 0.25) Reflect.deleteProperty(node, key);
    else Reflect.set(node, key, odd[below(odd.length)]);
    break;
  }
  return JSON.stringify(root);
}
