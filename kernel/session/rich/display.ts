/** How values show themselves: mime bundles, by symbol or by what they are, and the global `display`. */
import { Buffer } from "node:buffer";
import { randomUUID } from "node:crypto";
import { inspect, types } from "node:util";
import type { DisplayOptions } from "../../index.js";
import { currentWork } from "../user/context.js";
import { asKernel, asUser } from "../user/intrinsics.js";
import { publish, writeStream } from "../user/output.js";
import { InterruptedError } from "../user/work.js";
import { richView } from "./describe.js";
import { printed } from "./print.js";

/** A method under this symbol returns a mime bundle or a promise of one. */
export const displaySymbol: unique symbol = Symbol.for("Jupyter.display") as never;

/** Data by mime type, and what the front end should know about it. */
export interface Bundle {
  readonly data: Record<string, unknown>;
  readonly metadata: Record<string, unknown>;
}

const MAX_TEXT = 100_000;

/** A displayed value that can be replaced. As a cell's last value it shows nothing more. */
export class DisplayHandle {
  constructor(readonly display_id: string) {}
  /** Show `value` in its place. */
  update(value: unknown, options: DisplayOptions = {}): DisplayHandle | Promise<DisplayHandle> {
    return display(value, { ...options, update: true, display_id: this.display_id });
  }
}

/** What `display` has returned: handles, and promises of displays under way. */
const returned = new WeakSet<object>();

/** Was this returned by `display`? Then showing it as a cell's value would only repeat it. */
export function isDisplayResult(value: unknown): boolean {
  return typeof value === "object" && value !== null && returned.has(value);
}

/** Show a value below the cell. Returns a handle to update it with (a promise of it if the value takes time to describe itself). */
export function display(value: unknown, options: DisplayOptions = {}): DisplayHandle | Promise<DisplayHandle> {
  return asKernel(() => show(value, options));
}

function show(value: unknown, options: DisplayOptions): DisplayHandle | Promise<DisplayHandle> {
  const work = currentWork();
  if (work?.interrupted) throw new InterruptedError();
  if (options.update && options.display_id === undefined)
    throw new TypeError("display(value, { update: true }) needs the display_id to replace");
  if (options.display_id !== undefined && typeof options.display_id !== "string")
    throw new TypeError(`display's display_id is a string, not ${inspect(options.display_id, { depth: 0 })}`);
  const handle = new DisplayHandle(options.display_id ?? randomUUID());
  returned.add(handle);
  const put = ({ data, metadata }: Bundle): DisplayHandle => {
    if (!work?.silent) {
      publish(
        options.update ? "update_display_data" : "display_data",
        { data, metadata: { ...metadata, ...options.metadata }, transient: { display_id: handle.display_id } },
        { work },
      );
    }
    return handle;
  };
  const bundle = options.raw ? rawBundle(value) : bundleOf(value);
  if (!types.isPromise(bundle)) return put(bundle);
  const shown = bundle.then(put);
  returned.add(shown);
  work?.pending.add(shown);
  shown.then(
    () => work?.pending.delete(shown),
    () => undefined,
  );
  return shown;
}

/** Empty the cell's output; with `wait`, when the next output comes. */
display.clear = (options: { readonly wait?: boolean } = {}): void => {
  publish("clear_output", { wait: options?.wait === true });
};

function rawBundle(value: unknown): Bundle {
  if (!isObject(value) || Array.isArray(value)) {
    throw new TypeError(
      `display(value, { raw: true }) takes a mime bundle such as { "text/html": "<b>x</b>" }, not ${inspect(value, { depth: 0 })}`,
    );
  }
  return { data: encodeBundle(value), metadata: {} };
}

type Bag = Readonly<Record<PropertyKey, unknown>>;

function isObject(value: unknown): value is Bag {
  return typeof value === "object" && value !== null;
}

/** Absent representations are left out; binary becomes base64, or text where the type is one of text. */
function encodeBundle(bundle: Bag): Record<string, unknown> {
  const data: Record<string, unknown> = {};
  for (const [type, value] of Object.entries(bundle)) {
    const encoded = value === undefined || value === null ? undefined : encode(type, value);
    if (encoded !== undefined) data[type] = encoded;
  }
  return data;
}

function encode(type: string, value: unknown): unknown {
  if (typeof value === "string") return value;
  const bytes = bytesOf(value);
  if (bytes) return bytes.toString(/^text\/|[+/]xml$|[+/]json$|javascript$/.test(type) ? "utf8" : "base64");
  if (!/^text\/|^image\/(?!.*json$)/.test(type)) return encodeJson(type, value);
  if (Array.isArray(value) && value.every((line) => typeof line === "string")) return value.join("");
  if (typeof value === "object" || typeof value === "function")
    throw new TypeError(`the bundle's ${type} is a string, not ${inspect(value, { depth: 0 })}`);
  return String(value);
}

function bytesOf(value: unknown): Buffer | undefined {
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  return types.isAnyArrayBuffer(value) ? Buffer.from(value) : undefined;
}

/** JSON as front ends want it: typed arrays are arrays of numbers (charts are full of them). */
function encodeJson(type: string, value: unknown): unknown {
  let changed = false;
  let text: string | undefined;
  try {
    text = JSON.stringify(value, (_, inner: unknown) => {
      if (!types.isTypedArray(inner)) return inner;
      changed = true;
      return Array.from(inner as ArrayLike<unknown>);
    });
  } catch (error) {
    throw new TypeError(
      `the bundle's ${type} cannot be sent as JSON: ${error instanceof Error ? error.message : inspect(error)}`,
    );
  }
  return changed && text !== undefined ? JSON.parse(text) : text && value;
}

/** The mime bundle of any value; never rejects: a value that fails to describe itself is shown as text. */
export function bundleOf(value: unknown): Bundle | Promise<Bundle> {
  const own = ownDisplay(value);
  if (!own) return isImage(value) ? imageBundle(value) : describe(value);
  const wrong = (error: unknown): Bundle => {
    writeStream(
      "stderr",
      `The value's [Symbol.for("Jupyter.display")] failed: ${error instanceof Error ? error.stack : inspect(error)}\n`,
    );
    return describe(value);
  };
  const check = (result: unknown): Bundle => {
    const [bundle, about] = withMetadata(result);
    if (!isObject(bundle) || Array.isArray(bundle)) {
      return wrong(
        new TypeError(
          `it returned ${inspect(result, { depth: 0 })}, not a mime bundle such as { "text/html": "<b>x</b>" }`,
        ),
      );
    }
    const data = encodeBundle(bundle);
    if (!("text/plain" in data)) data["text/plain"] = plainText(value);
    return { data, metadata: isObject(about) ? { ...about } : {} };
  };
  try {
    const result = asUser(() => own.call(value));
    return isObject(result) && typeof result.then === "function"
      ? Promise.resolve(result).then(check).catch(wrong)
      : check(result);
  } catch (error) {
    return wrong(error);
  }
}

/** A bundle may come with metadata: `[data, metadata]`, as Python's `_repr_mimebundle_` has it, or `{ data, metadata }`, as messages do. */
function withMetadata(result: unknown): readonly [unknown, unknown] {
  if (Array.isArray(result) && result.length === 2 && result.every(isObject)) return [result[0], result[1]];
  if (isObject(result) && isObject(result.data) && Object.keys(result).every((key) => /^(?:data|metadata)$/.test(key)))
    return [result.data, result.metadata];
  return [result, undefined];
}

/** The value's display method. Proxies that answer to every name are not asked for what they have not. */
function ownDisplay(value: unknown): ((this: unknown) => unknown) | undefined {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return undefined;
  try {
    if (!(displaySymbol in value)) return undefined;
    const method = asUser((): unknown => value[displaySymbol]);
    return typeof method === "function" ? (method as (this: unknown) => unknown) : undefined;
  } catch {
    return undefined;
  }
}

const MAX_IMAGE = 50_000_000;

function isImage(value: unknown): value is Blob {
  return !types.isProxy(value) && value instanceof Blob && /^image\/\w/.test(value.type) && value.size <= MAX_IMAGE;
}

async function imageBundle(image: Blob): Promise<Bundle> {
  const type = image.type.replace(/;.*/, "");
  return {
    data: { ...encodeBundle({ [type]: await image.arrayBuffer() }), "text/plain": plainText(image) },
    metadata: {},
  };
}

function describe(value: unknown): Bundle {
  const plain = plainText(value);
  return { data: { ...richOf(value), "text/plain": plain }, metadata: {} };
}

/** Text as Node prints it where there are no colours: tools compare a result's text/plain. Very long text is cut. */
export function plainText(value: unknown): string {
  let text: string;
  try {
    text = printed(value, { colors: false });
  } catch (error) {
    text = `[this value cannot be printed: ${error instanceof Error ? error.message : String(error)}]`;
  }
  if (text.length > MAX_TEXT)
    return `${text.slice(0, MAX_TEXT)}\n... ${text.length - MAX_TEXT} more characters; console.log prints strings whole`;
  return CUT.test(text) ? `${text}\n${wayToTheRest(value)}` : text;
}

/** How Node says that it has left something out: at the end of a list or of a text, perhaps within others. */
const CUT = /\.\.\. \d+ more (?:items?|characters?|bytes?)>?(?:\s*[\]})>,]|$)/;

function wayToTheRest(value: unknown): string {
  if (typeof value === "string") return "(console.log prints it whole)";
  if (types.isTypedArray(value)) return "(value.subarray(from, to) shows a part of it)";
  return "(console.dir(value, { maxArrayLength: null, maxStringLength: null }) prints all of it)";
}

function richOf(value: unknown): Record<string, unknown> | undefined {
  try {
    return encodeBundle(richView(value) ?? {});
  } catch {
    return undefined;
  }
}

type Text = string | TemplateStringsArray;

function textOf(text: Text, values: readonly unknown[]): string {
  return typeof text === "string" ? text : String.raw({ raw: text }, ...values);
}

const shownAs =
  (mime: string) =>
  (text: Text, ...values: unknown[]): object => {
    const shown = textOf(text, values);
    return displayable({ [mime]: shown, "text/plain": shown });
  };

/** A value that shows as the given mime bundle. */
function displayable(bundle: Record<string, unknown>): object {
  return { [displaySymbol]: () => bundle };
}

/** Makers of values that show as what they are: functions and template tags on the global `Jupyter`. */
export const displayables = {
  html: shownAs("text/html"),
  markdown: shownAs("text/markdown"),
  svg: shownAs("image/svg+xml"),
  latex: shownAs("text/latex"),
  /** A JSON tree that can be folded. */
  json: (value: unknown): object => displayable({ "application/json": value }),
  vegaLite: (spec: unknown): object => displayable({ "application/vnd.vegalite.v5+json": spec }),
  plotly: (figure: unknown): object => displayable({ "application/vnd.plotly.v1+json": figure }),
  image: (bytes: Uint8Array, type: "png" | "jpeg" | "gif" | "webp" = "png"): object =>
    displayable({ [`image/${type}`]: Buffer.from(bytes).toString("base64") }),
};
