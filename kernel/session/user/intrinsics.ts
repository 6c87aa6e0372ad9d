/**
 * A cell may replace what the language provides: `JSON = null`, `Array.prototype.map = ...`, a key on Object.prototype. The user's code
 * gets what the user made; the kernel, which lives in the same realm, works with the originals: they are put back while it works.
 * Nothing here may call what a cell can replace, so there are loops and functions taken at the start.
 */
const { defineProperty, deleteProperty, getOwnPropertyDescriptor, ownKeys, setPrototypeOf } = Reflect;
const globals = globalThis;
const objectPrototype = Object.prototype;
const arrayPrototype = Array.prototype;
const { call } = Function.prototype;

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

/** The same of what only some members are relied on. */
const MEMBERS: Readonly<Record<string, string>> = {
  Atomics: "add sub exchange load store notify wait compareExchange",
  Math: "max min floor ceil",
  Buffer: "from alloc allocUnsafe allocUnsafeSlow isBuffer isEncoding concat byteLength",
  "Buffer.prototype": "copy readUInt32LE toString utf8Slice utf8Write write writeUInt32LE writeUInt8",
  "TextEncoder.prototype": "encode encodeInto",
  "TextDecoder.prototype": "decode",
  "DataView.prototype": "getUint32 setUint32",
  "WeakSet.prototype": "add has delete",
  "AbortController.prototype": "abort",
  "EventTarget.prototype": "addEventListener removeEventListener dispatchEvent",
  process: "cwd nextTick",
};

let kept: Kept[] | undefined;
let plainKeys = 0;
/** What is put back when the kernel has done its work; undefined: the user's code runs. */
let replaced: Replaced[] | undefined;

/** A method as it is at the start, to be called with its object first: for what the kernel does in the midst of the user's code. */
export function taken<Arguments extends unknown[], Result>(
  method: (...args: Arguments) => Result,
): (self: unknown, ...args: Arguments) => Result {
  return call.bind(method) as (self: unknown, ...args: Arguments) => Result;
}

/** Remember how things are now. To be called before the first cell. */
export function keepIntrinsics(): void {
  if (kept) return;
  kept = [];
  keepAll(globals, kept);
  for (const name of RELIED_ON) {
    const holder: unknown = Reflect.get(globals, name);
    if (!isObject(holder)) continue;
    keepAll(holder, kept);
    // That of Function is a function.
    const prototype: unknown = Reflect.get(holder, "prototype");
    if (isObject(prototype)) keepAll(prototype, kept);
  }
  for (const shared of [Uint8Array.prototype, [][Symbol.iterator](), new Map().entries(), new Set().values()])
    keepAll(Object.getPrototypeOf(shared) as object, kept);
  keepAll(Function.prototype, nodes, ["apply"]);
  keepAll(arrayPrototype, nodes, ["pop"]);
  for (const [path, members] of Object.entries(MEMBERS)) {
    let holder: unknown = globals;
    for (const step of path.split(".")) holder = Reflect.get(holder as object, step);
    keepAll(holder as object, kept, members.split(" "));
  }
  plainKeys = ownKeys(objectPrototype).length;
}

/** Whether everything is as it was; false also where nobody has prepared an answer yet. */
let isUntouched = (): boolean => false;
const Compiled = Function;

/**
 * Prepare the usual answer to the question whether anything was replaced. It is asked three times per cell, and one expression that names
 * all properties takes half the time of a loop over them.
 */
export function prepareCheck(): void {
  asKernel(() => {
    const names: string[] = [];
    const values: unknown[] = [];
    const nameOf = (value: unknown): string => {
      const known = values.indexOf(value);
      if (known >= 0) return names[known] ?? "";
      values.push(value);
      return names[names.push(`v${names.length}`) - 1] ?? "";
    };
    const tests = (kept ?? []).map(({ holder, key, value }) => {
      const named = typeof key === "string" && /^[A-Za-z_$][\w$]*$/.test(key);
      return `${nameOf(holder)}${named ? `.${key}` : `[${nameOf(key)}]`}===${nameOf(value)}`;
    });
    // By its name the debugger knows that it is the kernel's.
    const code = `return()=>${tests.join("&&")}\n//# sourceURL=${import.meta.url}#check`;
    isUntouched = new Compiled(...names, code)(...values) as () => boolean;
  });
}

function isObject(value: unknown): value is object {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}

function keepAll(holder: object, all: Kept[], keys: readonly PropertyKey[] = ownKeys(holder)): void {
  for (const key of keys) {
    const descriptor = getOwnPropertyDescriptor(holder, key);
    // What is an accessor on a global is loaded when it is first read.
    if (!descriptor?.configurable || !("value" in descriptor)) continue;
    setPrototypeOf(descriptor, null);
    all.push({ holder: holder as Record<PropertyKey, unknown>, key, value: descriptor.value as unknown, descriptor });
  }
}

/** What Node itself calls by name whenever it calls back: without it no message would arrive any more. */
const nodes: Kept[] = [];
let resting: Replaced[] = [];

/** Run what a message asks for. Between messages Node's own methods are in their places. */
export function awake<T>(body: () => T): T {
  putBack(resting);
  resting = [];
  try {
    return body();
  } finally {
    resting = takeFrom(nodes, []);
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
  if (resting.length === 0) resting = takeFrom(nodes, []);
}

function takeBack(all: readonly Kept[]): Replaced[] {
  const found: Replaced[] = [];
  // Foreign keys first: they would be part of every descriptor.
  const keys = ownKeys(objectPrototype);
  if (keys.length > plainKeys) {
    for (let index = 0; index < keys.length; index++) {
      const key = keys[index] as PropertyKey;
      if (isKept(all, key)) continue;
      note(found, objectPrototype, key);
      deleteProperty(objectPrototype, key);
    }
  }
  // And those that every array has where it is empty: numbers, which come first, and make it longer.
  const indices = arrayPrototype.length > 0 ? ownKeys(arrayPrototype) : [];
  for (let index = 0; index < indices.length && isIndex(indices[index]); index++) {
    note(found, arrayPrototype, indices[index] as PropertyKey);
    deleteProperty(arrayPrototype, indices[index] as PropertyKey);
  }
  return isUntouched() ? found : takeFrom(all, found);
}

/** Put the originals in their places; adds what stood there to `found`. */
function takeFrom(all: readonly Kept[], found: Replaced[]): Replaced[] {
  for (let index = 0; index < all.length; index++) {
    const one = all[index] as Kept;
    if (one.holder[one.key] === one.value) continue;
    note(found, one.holder, one.key);
    defineProperty(one.holder, one.key, one.descriptor);
  }
  return found;
}

function note(found: Replaced[], holder: object, key: PropertyKey): void {
  const users = getOwnPropertyDescriptor(holder, key);
  if (users) setPrototypeOf(users, null);
  const entry = { holder, key, users };
  setPrototypeOf(entry, null);
  defineProperty(found, found.length, plain(entry));
}

function isIndex(key: PropertyKey | undefined): boolean {
  return typeof key === "string" && +key >= 0;
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
  if (mine) putBack(mine);
}

function putBack(users: readonly Replaced[]): void {
  for (let index = users.length - 1; index >= 0; index--) {
    const { holder, key, users: mine } = users[index] as Replaced;
    if (mine) defineProperty(holder, key, mine);
    else deleteProperty(holder, key);
  }
}

function plain(value: unknown): PropertyDescriptor {
  const descriptor = { value, writable: true, enumerable: true, configurable: true };
  setPrototypeOf(descriptor, null);
  return descriptor;
}
