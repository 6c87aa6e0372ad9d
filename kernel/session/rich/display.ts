/** How values show themselves: mime bundles, by symbol or by what they are, and the global `display`. */
import { Buffer } from "node:buffer";
import { randomUUID } from "node:crypto";
import { inspect } from "node:util";
import { currentWork } from "../user/context.js";
import { publish, writeStream } from "../user/output.js";
import { InterruptedError } from "../user/work.js";
import { richView } from "./describe.js";

/** A method under this symbol returns a mime bundle or a promise of one. */
export const displaySymbol: unique symbol = Symbol.for("Jupyter.display") as never;

/** Data by mime type, and what the front end should know about it. */
export interface Bundle {
  readonly data: Record<string, unknown>;
  readonly metadata: Record<string, unknown>;
}

/** Options of `display`. */
export interface DisplayOptions {
  /** The value is a mime bundle itself. */
  readonly raw?: boolean;
  /** Replace what was displayed under `display_id`. */
  readonly update?: boolean;
  readonly display_id?: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
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

/** Displays under way: their promises are no value to show. */
const underWay = new WeakSet<object>();

/** Was this returned by `display`? Then showing it as a cell's value would only repeat it. */
export function isDisplayResult(value: unknown): boolean {
  return value instanceof DisplayHandle || (typeof value === "object" && value !== null && underWay.has(value));
}

/** Show a value below the cell. Returns a handle to update it with (a promise of it if the value takes time to describe itself). */
export function display(value: unknown, options: DisplayOptions = {}): DisplayHandle | Promise<DisplayHandle> {
  const work = currentWork();
  if (work?.interrupted) throw new InterruptedError();
  if (options.update && options.display_id === undefined)
    throw new TypeError("display(value, { update: true }) needs the display_id to replace");
  const handle = new DisplayHandle(options.display_id ?? randomUUID());
  const show = ({ data, metadata }: Bundle): DisplayHandle => {
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
  if (!(bundle instanceof Promise)) return show(bundle);
  const shown = bundle.then(show);
  underWay.add(shown);
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
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new TypeError(
      `display(value, { raw: true }) takes a mime bundle such as { "text/html": "<b>x</b>" }, not ${inspect(value, { depth: 0 })}`,
    );
  }
  return { data: encodeBundle(value as Record<string, unknown>), metadata: {} };
}

/** Binary becomes base64; absent representations are left out. */
function encodeBundle(bundle: Record<string, unknown>): Record<string, unknown> {
  const data: Record<string, unknown> = {};
  for (const [type, value] of Object.entries(bundle)) {
    if (value === undefined || value === null) continue;
    data[type] = value instanceof Uint8Array ? Buffer.from(value).toString("base64") : value;
  }
  return data;
}

/** The mime bundle of any value; never rejects: a value that fails to describe itself is shown as text. */
export function bundleOf(value: unknown): Bundle | Promise<Bundle> {
  const own = ownDisplay(value);
  if (!own) return describe(value);
  const wrong = (error: unknown): Bundle => {
    writeStream(
      "stderr",
      `The value's [Symbol.for("Jupyter.display")] failed: ${error instanceof Error ? error.stack : inspect(error)}\n`,
    );
    return describe(value);
  };
  const check = (result: unknown): Bundle => {
    if (typeof result !== "object" || result === null || Array.isArray(result)) {
      return wrong(
        new TypeError(
          `it returned ${inspect(result, { depth: 0 })}, not a mime bundle such as { "text/html": "<b>x</b>" }`,
        ),
      );
    }
    const data = encodeBundle(result as Record<string, unknown>);
    if (!("text/plain" in data)) data["text/plain"] = plainText(value);
    return { data, metadata: {} };
  };
  try {
    const result = own.call(value);
    return result instanceof Promise ? result.then(check).catch(wrong) : check(result);
  } catch (error) {
    return wrong(error);
  }
}

function ownDisplay(value: unknown): ((this: unknown) => unknown) | undefined {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return undefined;
  try {
    const method: unknown = (value as Record<symbol, unknown>)[displaySymbol];
    return typeof method === "function" ? (method as (this: unknown) => unknown) : undefined;
  } catch {
    return undefined;
  }
}

function describe(value: unknown): Bundle {
  const plain = plainText(value);
  return { data: { ...richOf(value), "text/plain": plain }, metadata: {} };
}

/** Text as Node prints it where there are no colours: tools compare a result's text/plain. Very long text is cut. */
export function plainText(value: unknown): string {
  let text: string;
  try {
    text = inspect(value, { colors: false });
  } catch (error) {
    text = `[this value cannot be printed: ${error instanceof Error ? error.message : String(error)}]`;
  }
  return text.length > MAX_TEXT
    ? `${text.slice(0, MAX_TEXT)}\n... ${text.length - MAX_TEXT} more characters; console.log prints strings whole`
    : text;
}

function richOf(value: unknown): Record<string, unknown> | undefined {
  try {
    return richView(value);
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
