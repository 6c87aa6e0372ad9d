/** The notebook's variables: properties of the global object that any later cell may declare again, as anything. */
import { type Binding, type CellSurroundings, isPlainName, moduleKeyOf, RUNTIME } from "../cell/rewrite.js";

/** By name, the property that holds the variable. */
const keys = new Map<string, string>();
/** What a cell's `globalThis.name = ...` had left under a name before a cell declared it. */
const originals = new Map<string, PropertyDescriptor>();
/** By name, what cells have imported. */
const imports = new Map<string, Import>();
/** The same as far as the rewriter may read it as a member of the module. */
const imported = new Map<string, string>();
/** By name, the members as which compiled code reads it. */
const readAs = new Map<string, Set<string>>();
/** Names that JavaScript, Node and the kernel have. */
let taken: ReadonlySet<string> = new Set();

/** To be called when all globals are there: what cells declare by these names is a variable beside them. */
export function rememberEnvironment(): void {
  taken = new Set([...Object.getOwnPropertyNames(globalThis), RUNTIME]);
}

/** What the rewriter must know of the notebook's variables. */
export function surroundings(): CellSurroundings {
  return { taken, shadowed: [...keys.keys()].filter((name) => taken.has(name)), imported };
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
  {
    readonly name: string;
    readonly before: PropertyDescriptor | undefined;
    readonly imported: Import | undefined;
    readonly get: () => unknown;
  }
>;

type Exports = Readonly<Record<string, unknown>>;

/** A name that stands for what a module exports: reading it reads the export, as it is by then. */
interface Import {
  readonly module: Exports;
  readonly exported: string;
}

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
    // What a module is to bring stays what it is until then.
    if (kind === "import" && old) continue;
    const was = imports.get(name);
    if (was) forgetImport(name);
    if (kind === "import" || (kind === "lexical" && (early || was || !old))) {
      const get = (): unknown => {
        if (was && !early) return was.module[was.exported];
        throw new ReferenceError(`Cannot access '${name}' before initialization`);
      };
      unset.set(key, { name, before: old, imported: was, get });
      const set = (value: unknown): void => define(key, value);
      defineProperty(variables, key, plain({ get, set, enumerable: true, configurable: true }));
    } else if (!old?.writable || kind === "fresh") {
      const value = was ? was.module[was.exported] : (old?.value as unknown);
      define(key, kind === "fresh" ? undefined : value);
    }
  }
  return unset;
}

// These run in the midst of a cell: they must not care what it has made of Object or of arrays.
const { defineProperty, get: read, setPrototypeOf } = Reflect;
const fixed: PropertyDescriptor = { writable: false };
setPrototypeOf(fixed, null);
const variables = globalThis;

function define(key: string, value: unknown): void {
  defineProperty(variables, key, plain({ value, writable: true, enumerable: true, configurable: true }));
}

/** A descriptor that does not care what a cell has put on Object.prototype. */
export function plain(descriptor: PropertyDescriptor): PropertyDescriptor {
  setPrototypeOf(descriptor, null);
  return descriptor;
}

/** A cell's import has been loaded: `name` stands for what `module` has as `exported`. */
export function bindImport(name: string, module: Exports, exported: string): void {
  const get = (): unknown => module[exported];
  const set = (): never => {
    throw new TypeError("Assignment to constant variable.");
  };
  defineProperty(variables, keyOf(name), plain({ get, set, enumerable: true, configurable: true }));
  imports.set(name, { module, exported });
  imported.delete(name);
  if (isPlainName(exported)) {
    imported.set(name, exported);
    readAs.set(name, (readAs.get(name) ?? new Set()).add(exported));
  }
  redirect(name);
}

/** `import * as name`. */
export function bindNamespace(name: string, module: Exports): void {
  forgetImport(name);
  define(keyOf(name), module);
  freeze(keyOf(name));
}

function forgetImport(name: string): void {
  if (!imports.delete(name)) return;
  imported.delete(name);
  redirect(name);
}

/** Let code that was compiled while the name stood for some import find what it means now. */
function redirect(name: string): void {
  const now = imports.get(name);
  for (const exported of readAs.get(name) ?? []) {
    const variable = (): PropertyDescriptor => plain({ get: () => read(variables, keyOf(name)) });
    const value = now?.exported === exported ? now.module : Object.create(null, { [exported]: variable() });
    defineProperty(variables, moduleKeyOf(name, exported), plain({ value, writable: true, configurable: true }));
  }
}

/** What the module exports for which a name stands; throws where it stands for something else. */
export function importNamed(name: string): unknown {
  const found = imports.get(name);
  if (!found) throw new ReferenceError(`${name} is not imported`);
  return found.module[found.exported];
}

/** The value of a notebook's variable, where looking at it runs nothing of the user's. */
export function variableNamed(name: string): { readonly value: unknown } | undefined {
  const { module, exported } = imports.get(name) ?? {};
  if (module && exported !== undefined) return { value: module[exported] };
  const descriptor = Object.getOwnPropertyDescriptor(globalThis, keyOf(name));
  return descriptor && "value" in descriptor ? { value: descriptor.value as unknown } : undefined;
}

/** A cell has ended: variables that it did not come to set are what they were, or are not there. */
export function settleBindings(unset: Unset): void {
  for (const [key, { name, before, imported: was, get }] of unset) {
    // Another cell may have declared it meanwhile.
    if (Object.getOwnPropertyDescriptor(globalThis, key)?.get !== get) continue;
    if (was) bindImport(name, was.module, was.exported);
    else if (before) Object.defineProperty(globalThis, key, before);
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
    forgetImport(name);
    for (const exported of readAs.get(name) ?? []) Reflect.deleteProperty(globalThis, moduleKeyOf(name, exported));
    readAs.delete(name);
    keys.delete(name);
    count++;
    const original = originals.get(name);
    if (original) Object.defineProperty(globalThis, key, original);
    else Reflect.deleteProperty(globalThis, key);
    originals.delete(name);
  }
  return count;
}
