/** Looking at values without running anything of the user's: no getter, no proxy trap, no call, no custom inspection. */
import { inspect, types } from "node:util";
import { withoutMarks } from "../cell/rewrite.js";
import type { MimeBundle, RuntimeCompletion } from "../handle.js";
import { declaredNames, keyOf, variableNamed } from "./bindings.js";

/** Globals that Node itself defines with getters; looking at them runs nothing of the user's. */
const ownGetters = new Set([
  "process",
  "Buffer",
  "crypto",
  "performance",
  "navigator",
  "require",
  "console",
  "fetch",
  "localStorage",
]);
const MAX_NAMES = 2000;

/** Members of the value that a chain of names leads to; for an empty chain the notebook's variables and the globals. */
export function complete(expression: string): RuntimeCompletion[] {
  const plain = expression.trim() === "";
  const found = plain ? { value: globalThis as unknown } : valueAt(expression);
  if (!found) return [];
  const matches = new Map<string, RuntimeCompletion>();
  if (found.value === globalThis) {
    for (const name of declaredNames()) {
      const variable = variableNamed(name);
      matches.set(name, { name, type: variable ? typeOf(variable.value) : kindOf(globalThis, keyOf(name)) });
    }
  }
  // `constructor` and the like, which the global object inherits, nobody means by a plain name.
  for (const holder of plain ? [globalThis] : holders(found.value)) {
    for (const name of Object.getOwnPropertyNames(holder)) {
      if (matches.size >= MAX_NAMES) break;
      if (!matches.has(name) && !/^(?:__|\d)|\u200c/.test(name))
        matches.set(name, { name, type: kindOf(holder, name) });
    }
  }
  return [...matches.values()];
}

/** The value of a chain of names, described; undefined if the chain leads nowhere (or through a getter or a proxy). */
export function inspectExpression(expression: string, detailLevel: 0 | 1): MimeBundle | undefined {
  const found = valueAt(expression);
  if (!found) return undefined;
  return { "text/plain": describeValue(found.value, detailLevel === 1 ? 3 : 2, detailLevel === 1) };
}

/** `a.b[0]["c"]` to its value. */
export function valueAt(expression: string): { value: unknown } | undefined {
  const steps = stepsOf(expression);
  if (!steps) return undefined;
  let value: unknown = globalThis;
  for (const [index, step] of steps.entries()) {
    if (index === 0 && step === "globalThis") continue;
    const known = index === 0 && declaredNames().has(step) ? variableNamed(step) : undefined;
    const next = known ?? property(value, index === 0 ? keyOf(step) : step, index === 0);
    if (!next) return undefined;
    value = next.value;
  }
  return { value };
}

function stepsOf(expression: string): string[] | undefined {
  const steps: string[] = [];
  let rest = expression.trim();
  const first = /^[\p{ID_Start}$_][\p{ID_Continue}$]*/u.exec(rest);
  if (!first) return undefined;
  steps.push(first[0]);
  rest = rest.slice(first[0].length);
  while (rest !== "") {
    const match =
      /^(?:\?\.|\.)(#?[\p{ID_Start}$_][\p{ID_Continue}$]*)|^(?:\?\.)?\[\s*(?:(\d+)|"([^"\\]*)"|'([^'\\]*)')\s*\]|^!/u.exec(
        rest,
      );
    if (!match) return undefined;
    const step = match[1] ?? match[2] ?? match[3] ?? match[4];
    if (step !== undefined) steps.push(step);
    rest = rest.slice(match[0].length);
  }
  return steps;
}

/** A property's value if it is plainly there. */
function property(value: unknown, name: string, global: boolean): { value: unknown } | undefined {
  for (const holder of holders(value)) {
    const descriptor = Object.getOwnPropertyDescriptor(holder, name);
    if (!descriptor) continue;
    if ("value" in descriptor) return { value: descriptor.value };
    if (global && ownGetters.has(name) && !declaredNames().has(name))
      return { value: (globalThis as Record<string, unknown>)[name] };
    return undefined;
  }
  return undefined;
}

/** The value and its prototypes; nothing for null, undefined and proxies. */
function holders(value: unknown): object[] {
  if (value === null || value === undefined) return [];
  const found: object[] = [];
  let at: unknown = typeof value === "object" || typeof value === "function" ? value : Object.getPrototypeOf(value);
  while (at !== null && !types.isProxy(at) && found.length < 50) {
    found.push(at as object);
    at = Object.getPrototypeOf(at);
  }
  return found;
}

function kindOf(holder: object, name: string): string {
  const descriptor = Object.getOwnPropertyDescriptor(holder, name);
  if (!descriptor) return "instance";
  if (!("value" in descriptor)) return "property";
  return typeOf(descriptor.value);
}

function typeOf(value: unknown): string {
  if (typeof value === "function") return isClass(value) ? "class" : "function";
  return types.isModuleNamespaceObject(value) ? "module" : "instance";
}

function isClass(value: unknown): boolean {
  return (
    typeof value === "function" && !types.isProxy(value) && /^class\b/.test(Function.prototype.toString.call(value))
  );
}

/** A value as text, looking at own data properties only. */
export function describeValue(value: unknown, depth: number, whole: boolean): string {
  if (typeof value === "function") return describeFunction(value, whole);
  if (typeof value !== "object" || value === null) return inspect(value, { maxStringLength: whole ? 100_000 : 500 });
  if (types.isProxy(value)) return "Proxy";
  if (types.isDate(value)) return Date.prototype.toString.call(value);
  if (types.isRegExp(value)) return describeRegExp(value);
  const name = nameOf(value);
  if (Array.isArray(value) || types.isTypedArray(value)) {
    if (depth < 0) return `[${name}(${value.length})]`;
    const shown = Array.from({ length: Math.min(value.length, whole ? 100 : depth > 1 ? 20 : 8) }, (_, index) =>
      member(value, String(index), depth, whole),
    );
    return `${name}(${value.length}) [${shown.join(", ")}${value.length > shown.length ? `, ... ${value.length - shown.length} more` : ""}]`;
  }
  if (types.isMap(value) || types.isSet(value)) return describeEntries(value, name, depth, whole);
  if (depth <= 0) return `[${name}]`;
  const keys = Object.getOwnPropertyNames(value);
  const shown = keys
    .slice(0, whole ? 200 : depth > 1 ? 40 : 8)
    .map(
      (key) =>
        `${/^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(key) ? key : inspect(key)}: ${member(value, key, depth, whole).replaceAll("\n", "\n  ")}`,
    );
  if (keys.length > shown.length) shown.push(`... ${keys.length - shown.length} more`);
  const separator = shown.join(", ").length > 70 ? ",\n  " : ", ";
  const [open, close] = separator.includes("\n") ? ["{\n  ", "\n}"] : ["{ ", " }"];
  return `${name === "Object" ? "" : `${name} `}${shown.length === 0 ? "{}" : `${open}${shown.join(separator)}${close}`}`;
}

function member(holder: object, key: string, depth: number, whole: boolean): string {
  const descriptor = Object.getOwnPropertyDescriptor(holder, key);
  if (!descriptor) return "<empty>";
  if (!("value" in descriptor)) return descriptor.get ? "[Getter]" : "[Setter]";
  if (typeof descriptor.value === "function") return `[${typeOf(descriptor.value)}]`;
  return describeValue(descriptor.value, depth - 1, whole);
}

// Taken before any cell runs: what the user may put in their place later is the user's code.
const mapForEach = Map.prototype.forEach;
const setForEach = Set.prototype.forEach;
const regExpParts = Object.getOwnPropertyDescriptors(RegExp.prototype);
const regExpFlags = {
  d: regExpParts.hasIndices,
  g: regExpParts.global,
  i: regExpParts.ignoreCase,
  m: regExpParts.multiline,
  s: regExpParts.dotAll,
  u: regExpParts.unicode,
  v: Object.getOwnPropertyDescriptor(RegExp.prototype, "unicodeSets"),
  y: regExpParts.sticky,
};

function describeRegExp(value: RegExp): string {
  const flags = Object.entries(regExpFlags).filter(([, part]) => part?.get?.call(value) === true);
  return `/${String(regExpParts.source?.get?.call(value))}/${flags.map(([flag]) => flag).join("")}`;
}

function describeEntries(
  value: Map<unknown, unknown> | Set<unknown>,
  name: string,
  depth: number,
  whole: boolean,
): string {
  const shown: string[] = [];
  let size = 0;
  const text = (each: unknown): string =>
    typeof each === "function" ? `[${typeOf(each)}]` : describeValue(each, Math.max(0, depth - 1), whole);
  const take = (entry: () => string): void => {
    if (size++ < (whole ? 100 : 10) && depth > 0) shown.push(entry());
  };
  if (types.isMap(value)) mapForEach.call(value, (item, key) => take(() => `${text(key)} => ${text(item)}`));
  else setForEach.call(value, (item) => take(() => text(item)));
  if (size > shown.length && shown.length > 0) shown.push(`... ${size - shown.length} more`);
  return `${name}(${size})${shown.length > 0 ? ` { ${shown.join(", ")} }` : ""}`;
}

function describeFunction(value: object, whole: boolean): string {
  if (types.isProxy(value)) return "Proxy";
  const source = withoutMarks(Function.prototype.toString.call(value));
  if (whole) return source;
  const head = headOf(source);
  return head.length > 200 || head === "" ? `${source.slice(0, 200)}...` : head;
}

/** A function's text up to its body: the parameters' brackets are closed, and a brace or an arrow follows. */
function headOf(source: string): string {
  let depth = 0;
  for (const { 0: token, index } of source
    .slice(0, 1000)
    .matchAll(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`|\/\*[\s\S]*?\*\/|\/\/.*|=>|[()[\]{}]/g)) {
    if (depth === 0 && token === "=>") return source.slice(0, index + 2);
    if (depth === 0 && token === "{") return source.slice(0, index).trim();
    if ("([{".includes(token)) depth++;
    else if (")]}".includes(token)) depth--;
  }
  return source;
}

/** The constructor's name, if that can be seen without running anything. */
function nameOf(value: object): string {
  for (const holder of holders(value)) {
    const made = Object.getOwnPropertyDescriptor(holder, "constructor")?.value as unknown;
    if (typeof made !== "function" || types.isProxy(made)) continue;
    const name: unknown = Object.getOwnPropertyDescriptor(made, "name")?.value;
    if (typeof name === "string" && name !== "") return name;
  }
  return "Object";
}
