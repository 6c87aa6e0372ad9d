/** The notebook's variables: properties of the global object that any later cell may declare again, as anything. */
import type { RewrittenCell } from "../cell/rewrite.js";

const names = new Set<string>();
/** What the environment had under a name before a cell declared it. */
const originals = new Map<string, PropertyDescriptor>();

/** Names that cells have declared, oldest first. */
export function declaredNames(): ReadonlySet<string> {
  return names;
}

/** Make the names of a cell assignable before it runs. What they held stays until the cell assigns them. */
export function prepareBindings({ declared, fresh }: RewrittenCell): void {
  for (const name of declared) {
    const old = Object.getOwnPropertyDescriptor(globalThis, name);
    if (!names.has(name)) {
      names.add(name);
      if (old) originals.set(name, old);
    }
    if (old?.writable && !fresh.includes(name)) continue;
    const value: unknown = fresh.includes(name) ? undefined : old && "value" in old ? old.value : undefined;
    Object.defineProperty(globalThis, name, { value, writable: true, enumerable: true, configurable: true });
  }
}

/** Constants may not be assigned any more; a later cell may declare them again. */
export function freeze(...constants: string[]): void {
  for (const name of constants) Object.defineProperty(globalThis, name, { writable: false });
}

/** Forget the notebook's variables. Returns how many there were. */
export function forgetAll(which: readonly string[] = [...names]): number {
  let count = 0;
  for (const name of which) {
    if (!names.delete(name)) continue;
    count++;
    const original = originals.get(name);
    if (original) Object.defineProperty(globalThis, name, original);
    else Reflect.deleteProperty(globalThis, name);
    originals.delete(name);
  }
  return count;
}
