/** Values as Node prints them, where what they hold is not so much that printing it would take minutes. */
import { type InspectOptions, inspect, types } from "node:util";
import { asUser } from "../user/intrinsics.js";

/** Entries whose printing takes about a tenth of a second. */
const MAX_ENTRIES = 100_000;

/**
 * What `util.inspect` says of a value; of a vast one only the outer levels and the first `maxKeys` properties. Throws where the value's
 * own `inspect.custom` does.
 */
export function printed(value: unknown, options: InspectOptions = {}, maxKeys = 10_000): string {
  const wanted = options.depth ?? 2;
  const keys = isBag(value) ? Object.keys(value) : [];
  const more = keys.length - maxKeys;
  const shown = isBag(value) && more > 0 ? pick(value, keys.slice(0, maxKeys)) : value;
  let depth = wanted;
  while (depth > 0 && entriesWithin(shown, depth, MAX_ENTRIES) > MAX_ENTRIES) depth--;
  const text = inspected(shown, { ...options, depth });
  const notes = [
    ...(more > 0 ? [`... ${more} more properties: Object.keys(value) has their names`] : []),
    ...(depth < wanted
      ? [`... too large to show ${wanted} levels: console.dir(value, { depth: ${wanted} }) does`]
      : []),
  ];
  return [text, ...notes].join("\n");
}

/** It calls what values say of themselves, and does not get far where a cell has replaced what it stands on. */
function inspected(value: unknown, options: InspectOptions): string {
  if (typeof value !== "object" && typeof value !== "function") return inspect(value, options);
  try {
    return asUser(() => inspect(value, options));
  } catch {
    return inspect(value, options);
  }
}

/** An object of which `util.inspect` prints all properties: it stops by itself only in arrays, Maps and Sets. */
function isBag(value: unknown): value is object {
  if (typeof value !== "object" || value === null || types.isProxy(value) || ArrayBuffer.isView(value)) return false;
  return !(Array.isArray(value) || types.isMap(value) || types.isSet(value) || types.isNativeError(value));
}

function pick(value: object, keys: readonly string[]): object {
  const picked: PropertyDescriptorMap = {};
  for (const key of keys) {
    const descriptor = Object.getOwnPropertyDescriptor(value, key);
    if (descriptor) picked[key] = descriptor;
  }
  return Object.create(Object.getPrototypeOf(value), picked);
}

/** How many entries are printed of a value to some depth. Counts no further than `limit`, and runs none of the value's code. */
function entriesWithin(value: unknown, depth: number, limit: number): number {
  if (typeof value !== "object" || value === null || types.isProxy(value) || ArrayBuffer.isView(value)) return 1;
  let count = 1;
  for (const inner of innerValues(value)) {
    count += depth > 0 ? entriesWithin(inner, depth - 1, limit - count) : 1;
    if (count > limit) return count;
  }
  return count;
}

const MAX_ITEMS = 100;

function* innerValues(value: object): Generator<unknown> {
  if (types.isMap(value) || types.isSet(value)) {
    let items = 0;
    for (const item of types.isMap(value) ? Map.prototype.entries.call(value) : Set.prototype.values.call(value)) {
      if (items++ === MAX_ITEMS) break;
      yield item;
    }
  }
  const keys = Array.isArray(value) ? Object.keys(value.slice(0, MAX_ITEMS)) : Object.keys(value);
  for (const key of keys) {
    const descriptor = Object.getOwnPropertyDescriptor(value, key);
    yield descriptor && "value" in descriptor ? descriptor.value : undefined;
  }
}
