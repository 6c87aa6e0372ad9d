/**
 * A cell may replace what the language provides: `JSON = null`, `Array.prototype.map = ...`, a key on Object.prototype. The user's code
 * gets what the user made; the kernel, which lives in the same realm, works with the originals: they are put back while it works.
 * Nothing here may call what a cell can replace, so there are loops and functions taken at the start.
 */
const { defineProperty, deleteProperty, getOwnPropertyDescriptor, ownKeys, setPrototypeOf } = Reflect;
const globals = globalThis;
const objectPrototype = Object.prototype;

/** A property as it was at the start. */
interface Kept {
  readonly holder: Record<PropertyKey, unknown>;
  readonly key: PropertyKey;
  readonly value: unknown;
  readonly descriptor: PropertyDescriptor;
}

/** A property as the user made it; without a descriptor: removed, or, for an added one, to be removed. */
interface Replaced {
  readonly holder: object;
  readonly key: PropertyKey;
  readonly users: PropertyDescriptor | undefined;
}

/** Whose properties, and whose prototype's, the kernel and the libraries it stands on rely on. */
const RELIED_ON =
  "Object Function Array String Number Symbol Map Set WeakMap Promise RegExp Error JSON Reflect ArrayBuffer Uint8Array".split(
    " ",
  );

let kept: Kept[] | undefined;
let plainKeys = 0;
/** What is put back when the kernel has done its work; undefined: the user's code runs. */
let replaced: Replaced[] | undefined;

/** Remember how things are now. To be called before the first cell. */
export function keepIntrinsics(): void {
  if (kept) return;
  kept = [];
  keepAll(globals, kept);
  for (const name of RELIED_ON) {
    const holder: unknown = Reflect.get(globals, name);
    if ((typeof holder !== "object" && typeof holder !== "function") || holder === null) continue;
    keepAll(holder, kept);
    const prototype: unknown = Reflect.get(holder, "prototype");
    if (typeof prototype === "object" && prototype !== null) keepAll(prototype, kept);
  }
  for (const shared of [Uint8Array.prototype, [][Symbol.iterator](), new Map().entries(), new Set().values()])
    keepAll(Object.getPrototypeOf(shared) as object, kept);
  plainKeys = ownKeys(objectPrototype).length;
}

function keepAll(holder: object, all: Kept[]): void {
  for (const key of ownKeys(holder)) {
    const descriptor = getOwnPropertyDescriptor(holder, key);
    // What is an accessor on a global is loaded when it is first read.
    if (!descriptor?.configurable || !("value" in descriptor)) continue;
    setPrototypeOf(descriptor, null);
    all.push({ holder: holder as Record<PropertyKey, unknown>, key, value: descriptor.value as unknown, descriptor });
  }
}

/** Do the kernel's work, with everything as it was at the start. */
export function asKernel<T>(body: () => T): T {
  if (replaced || !kept) return body();
  replaced = takeBack(kept);
  try {
    return body();
  } finally {
    giveBack();
  }
}

/** From within the kernel's work: run code of the user, with everything as the user made it. */
export function asUser<T>(body: () => T): T {
  if (!replaced || !kept) return body();
  giveBack();
  try {
    return body();
  } finally {
    replaced ??= takeBack(kept);
  }
}

/** JavaScript was terminated, perhaps in the middle of the kernel's work. */
export function leaveKernel(): void {
  giveBack();
}

function takeBack(all: readonly Kept[]): Replaced[] {
  const found: Replaced[] = [];
  let count = 0;
  const note = (holder: object, key: PropertyKey): void => {
    const users = getOwnPropertyDescriptor(holder, key);
    if (users) setPrototypeOf(users, null);
    const entry = { holder, key, users };
    setPrototypeOf(entry, null);
    defineProperty(found, count++, plain(entry));
  };
  // Foreign keys first: they would be part of every descriptor.
  const keys = ownKeys(objectPrototype);
  if (keys.length > plainKeys) {
    for (let index = 0; index < keys.length; index++) {
      const key = keys[index] as PropertyKey;
      if (isKept(all, key)) continue;
      note(objectPrototype, key);
      deleteProperty(objectPrototype, key);
    }
  }
  for (let index = 0; index < all.length; index++) {
    const one = all[index] as Kept;
    if (one.holder[one.key] === one.value) continue;
    note(one.holder, one.key);
    defineProperty(one.holder, one.key, one.descriptor);
  }
  return found;
}

function isKept(all: readonly Kept[], key: PropertyKey): boolean {
  for (let index = 0; index < all.length; index++) {
    const one = all[index] as Kept;
    if (one.holder === (objectPrototype as unknown) && one.key === key) return true;
  }
  return key === "__proto__";
}

function giveBack(): void {
  const mine = replaced;
  replaced = undefined;
  if (!mine) return;
  for (let index = mine.length - 1; index >= 0; index--) {
    const { holder, key, users } = mine[index] as Replaced;
    if (users) defineProperty(holder, key, users);
    else deleteProperty(holder, key);
  }
}

function plain(value: unknown): PropertyDescriptor {
  const descriptor = { value, writable: true, enumerable: true, configurable: true };
  setPrototypeOf(descriptor, null);
  return descriptor;
}
