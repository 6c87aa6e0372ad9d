/** Rich views of plain values: tables, images, charts. What is not here shows as text alone. */
import { Buffer } from "node:buffer";
import { types } from "node:util";
import { printed } from "./print.js";

const MAX_ROWS = 100;
const MAX_COLUMNS = 40;
const MAX_CELL = 200;

/** Representations beside text/plain, or undefined. */
export function richView(value: unknown): Record<string, unknown> | undefined {
  if (typeof value !== "object" || value === null || types.isProxy(value)) return undefined;
  if (value instanceof Uint8Array) return imageView(value) ?? numbersView(value, [value.length]);
  if (types.isAnyArrayBuffer(value)) return imageView(new Uint8Array(value));
  if (types.isTypedArray(value)) return numbersView(value as NumberArray, [(value as NumberArray).length]);
  if (Array.isArray(value)) return recordsView(value);
  if (types.isMap(value)) return mapView(value);
  if (types.isSet(value)) return setView(value);
  return specView(value as Record<string, unknown>) ?? elementView(value);
}

/** Elements and canvases of a DOM that runs in Node show as they would on a page. */
function elementView(value: object): Record<string, unknown> | undefined {
  if ("outerHTML" in value && typeof value.outerHTML === "string")
    return { [/^\s*<svg[\s>]/.test(value.outerHTML) ? "image/svg+xml" : "text/html"]: value.outerHTML };
  if (!("toDataURL" in value) || typeof value.toDataURL !== "function") return undefined;
  const [, type, base64] = /^data:(image\/\w+);base64,(.*)$/s.exec(String(value.toDataURL("image/png"))) ?? [];
  return type === undefined ? undefined : { [type]: base64 };
}

type NumberArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

function imageView(bytes: Uint8Array): Record<string, unknown> | undefined {
  const starts = (...first: number[]): boolean => first.every((byte, index) => bytes[index] === byte);
  const text = (from: number, to: number): string =>
    Buffer.from(bytes.buffer, bytes.byteOffset + from, Math.max(0, Math.min(to, bytes.length) - from)).toString(
      "latin1",
    );
  const base64 = (): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
  if (starts(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a)) return { "image/png": base64() };
  if (starts(0xff, 0xd8, 0xff)) return { "image/jpeg": base64() };
  if (text(0, 4) === "GIF8") return { "image/gif": base64() };
  if (text(0, 4) === "RIFF" && text(8, 12) === "WEBP") return { "image/webp": base64() };
  if (/^\s*(?:<\?xml[^>]*\?>\s*)?<svg[\s>]/.test(text(0, 300)))
    return { "image/svg+xml": Buffer.from(bytes).toString("utf8") };
  return undefined;
}

/** Length, range, mean and a small curve. */
function numbersView(values: NumberArray, shape: readonly number[]): Record<string, unknown> | undefined {
  if (values.length < 2) return undefined;
  let min = Infinity;
  let max = -Infinity;
  let sum = 0;
  let finite = 0;
  for (const one of values) {
    const number = Number(one);
    if (!Number.isFinite(number)) continue;
    finite++;
    sum += number;
    if (number < min) min = number;
    if (number > max) max = number;
  }
  const facts = [`${values.constructor.name} [${shape.join(", ")}]`];
  if (finite > 0) facts.push(`min ${short(min)}`, `max ${short(max)}`, `mean ${short(sum / finite)}`);
  if (finite < values.length) facts.push(`${values.length - finite} not finite`);
  const first = Array.from({ length: Math.min(8, values.length) }, (_, index) => short(Number(values[index])));
  const head = `${first.join(", ")}${values.length > 8 ? ", ..." : ""}`;
  return {
    "text/html": `<div><div><b>${escapeHtml(facts.join(" · "))}</b></div>${finite > 1 ? sparkline(values, min, max) : ""}<div><code>${escapeHtml(head)}</code></div></div>`,
  };
}

function short(number: number): string {
  return Number.isInteger(number) ? String(number) : String(Number(number.toPrecision(5)));
}

/** At most 200 points: the least and the greatest value of each stretch. */
function sparkline(values: NumberArray, min: number, max: number): string {
  const width = 240;
  const height = 36;
  const buckets = Math.min(100, values.length);
  const scale = (number: number): string =>
    (height - 2 - ((number - min) / (max - min || 1)) * (height - 4)).toFixed(1);
  const points: string[] = [];
  for (let bucket = 0; bucket < buckets; bucket++) {
    const from = Math.floor((bucket * values.length) / buckets);
    const to = Math.max(from + 1, Math.floor(((bucket + 1) * values.length) / buckets));
    let low = Infinity;
    let high = -Infinity;
    for (let index = from; index < to; index++) {
      const number = Number(values[index]);
      if (!Number.isFinite(number)) continue;
      low = Math.min(low, number);
      high = Math.max(high, number);
    }
    if (low > high) continue;
    const x = ((bucket / Math.max(1, buckets - 1)) * (width - 2) + 1).toFixed(1);
    points.push(`${x},${scale(low)}`);
    if (high !== low) points.push(`${x},${scale(high)}`);
  }
  return `<svg width="${width}" height="${height}" role="img" aria-label="the values in order"><polyline fill="none" stroke="currentColor" stroke-width="1" points="${points.join(" ")}"/></svg>`;
}

/** An array of plain objects is a table. */
function recordsView(rows: readonly unknown[]): Record<string, unknown> | undefined {
  if (rows.length === 0 || !rows.slice(0, MAX_ROWS).every(isRecord)) return undefined;
  const names = new Set<string>();
  for (const row of rows.slice(0, MAX_ROWS) as Record<string, unknown>[]) {
    for (const key of Object.keys(row)) {
      names.add(key);
      if (names.size > MAX_COLUMNS) return undefined;
    }
  }
  const columns = [...names];
  if (columns.length === 0) return undefined;
  const text = memoized(cellText);
  const body = (rows.slice(0, MAX_ROWS) as Record<string, unknown>[]).map((row, index) => [
    String(index),
    ...columns.map((column) => (column in row ? text(data(row, column)) : "")),
  ]);
  return { "text/html": table(["", ...columns], body, rows.length) };
}

function isRecord(value: unknown): boolean {
  if (typeof value !== "object" || value === null || types.isProxy(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return (prototype === Object.prototype || prototype === null) && !Object.hasOwn(value, Symbol.for("Jupyter.display"));
}

/** A property's value without running its getter. */
function data(row: object, key: string): unknown {
  const descriptor = Object.getOwnPropertyDescriptor(row, key);
  return descriptor && "value" in descriptor ? descriptor.value : undefined;
}

function mapView(map: Map<unknown, unknown>): Record<string, unknown> | undefined {
  if (map.size === 0) return undefined;
  const text = memoized(cellText);
  const rows = first(map.entries()).map(([key, value]) => [text(key), text(value)]);
  return { "text/html": table(["key", "value"], rows, map.size) };
}

function setView(set: Set<unknown>): Record<string, unknown> | undefined {
  if (set.size === 0) return undefined;
  return {
    "text/html": table(
      ["value"],
      first(set.values()).map((value) => [cellText(value)]),
      set.size,
    ),
  };
}

function first<T>(values: IterableIterator<T>): T[] {
  const taken: T[] = [];
  for (const value of values) {
    if (taken.length === MAX_ROWS) break;
    taken.push(value);
  }
  return taken;
}

function cellText(value: unknown): string {
  const options = { depth: 1, breakLength: Infinity, maxArrayLength: 10, maxStringLength: MAX_CELL + 1 };
  const text = typeof value === "string" ? value : printed(value, options, MAX_COLUMNS);
  return text.length > MAX_CELL ? `${text.slice(0, MAX_CELL)}...` : text;
}

/** The same object in many cells is printed once. */
function memoized(print: (value: unknown) => string): (value: unknown) => string {
  const known = new Map<unknown, string>();
  return (value) => {
    const text = known.get(value) ?? print(value);
    known.set(value, text);
    return text;
  };
}

function table(head: readonly string[], rows: readonly (readonly string[])[], total: number): string {
  const line = (cells: readonly string[], tag: string): string =>
    `<tr>${cells.map((cell) => `<${tag}>${escapeHtml(cell)}</${tag}>`).join("")}</tr>`;
  const rest =
    total > rows.length
      ? `<caption style="caption-side: bottom; text-align: left">${total - rows.length} more rows are not shown: slice the value to see them</caption>`
      : "";
  return `<table>${rest}<thead>${line(head, "th")}</thead><tbody>${rows.map((row) => line(row, "td")).join("")}</tbody></table>`;
}

/** Objects that are specifications of charts. */
function specView(value: Record<string, unknown>): Record<string, unknown> | undefined {
  if (!isRecord(value)) return undefined;
  const schema = data(value, "$schema");
  if (typeof schema === "string") {
    const vega = /vega\.github\.io\/schema\/(vega-lite|vega)\/v(\d+)/.exec(schema);
    if (vega) return { [`application/vnd.${vega[1] === "vega" ? "vega" : "vegalite"}.v${vega[2]}+json`]: value };
  }
  const traces = data(value, "data");
  const layout = data(value, "layout");
  if (
    Array.isArray(traces) &&
    typeof layout === "object" &&
    layout !== null &&
    traces.every((trace) => isRecord(trace))
  ) {
    return { "application/vnd.plotly.v1+json": value };
  }
  const shape = data(value, "shape");
  if (Array.isArray(shape) && shape.every(Number.isInteger) && types.isTypedArray(traces))
    return numbersView(traces as NumberArray, shape as number[]);
  return undefined;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
