/** The notebook's variables: properties of the global object that any later cell may declare again, as anything. */
import { type Binding, type CellSurroundings, RUNTIME } from "../cell/rewrite.js";

/** By name, the property that holds the variable. */
const keys = new Map<string, string>();
/** What a cell's `globalThis.name = ...` had left under a name before a cell declared it. */
const originals = new Map<string, PropertyDescriptor>();
/** Names that JavaScript, Node and the kernel have. */
let taken: ReadonlySet<string> = new Set();

/** To be called when all globals are there: what cells declare by these names is a variable beside them. */
export function rememberEnvironment(): void {
  taken = new Set([...Object.getOwnPropertyNames(globalThis), RUNTIME]);
}

/** What the rewriter must know of the notebook's variables. */
export function surroundings(): CellSurroundings {
  return { taken, shadowed: [...keys.keys()].filter((name) => taken.has(name)) };
}

/** Names that cells have declared, oldest first. */
export function declaredNames(): ReadonlySet<string> {
  return new Set(keys.keys());
}

/** The property of the global object that a name means in a cell. */
export function keyOf(name: string): string {
  return keys.get(name) ?? name;
}

/** Variables of a cell that have no value yet, by their property: what it held before, and what stands there now. */
export type Unset = Map<
  string,
  { readonly name: string; readonly before: PropertyDescriptor | undefined; readonly get: () => never }
>;

/**
 * Make the names of a cell assignable before it runs. What they held stays until the cell assigns them; but what was not there before, or
 * is mentioned too early, cannot be read until then. Returns those: to be settled when the cell has ended.
 */
export function prepareBindings(declared: readonly Binding[]): Unset {
  const unset: Unset = new Map();
  for (const { name, key, kind, early } of declared) {
    const old = Object.getOwnPropertyDescriptor(globalThis, key);
    if (!keys.has(name)) {
      keys.set(name, key);
      if (old) originals.set(name, old);
    }
    if (kind === "lexical" && (early || !old)) {
      const get = (): never => {
        throw new ReferenceError(`Cannot access '${name}' before initialization`);
      };
      unset.set(key, { name, before: old, get });
      Object.defineProperty(globalThis, key, {
        get,
        set: (value: unknown) => define(key, value),
        enumerable: true,
        configurable: true,
      });
    } else if (!old?.writable || kind === "fresh")
      define(key, kind !== "fresh" && old && "value" in old ? (old.value as unknown) : undefined);
  }
  return unset;
}

// These run in the midst of a cell: they must not care what it has made of Object or of arrays.
const { defineProperty, setPrototypeOf } = Reflect;
const fixed: PropertyDescriptor = { writable: false };
setPrototypeOf(fixed, null);
const variables = globalThis;

function define(key: string, value: unknown): void {
  const descriptor = { value, writable: true, enumerable: true, configurable: true };
  setPrototypeOf(descriptor, null);
  defineProperty(variables, key, descriptor);
}

/** A cell has ended: variables that it did not come to set are what they were, or are not there. */
export function settleBindings(unset: Unset): void {
  for (const [key, { name, before, get }] of unset) {
    // Another cell may have declared it meanwhile.
    if (Object.getOwnPropertyDescriptor(globalThis, key)?.get !== get) continue;
    if (before) Object.defineProperty(globalThis, key, before);
    else {
      Reflect.deleteProperty(globalThis, key);
      keys.delete(name);
    }
  }
  unset.clear();
}

/** Constants may not be assigned any more; a later cell may declare them again. */
export function freeze(...constants: string[]): void {
  for (let index = 0; index < constants.length; index++) defineProperty(variables, constants[index] ?? "", fixed);
}

/** Forget the notebook's variables. Returns how many there were. */
export function forgetAll(which: readonly string[] = [...keys.keys()]): number {
  let count = 0;
  for (const name of which) {
    const key = keys.get(name);
    if (key === undefined) continue;
    keys.delete(name);
    count++;
    const original = originals.get(name);
    if (original) Object.defineProperty(globalThis, key, original);
    else Reflect.deleteProperty(globalThis, key);
    originals.delete(name);
  }
  return count;
}
