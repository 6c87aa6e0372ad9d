/** What the language service answers. All offsets are UTF-16 units of the cell's text, as JavaScript counts them. */

/** One proposal. `text` replaces the cell's text from `start` to `end`. */
export interface CompletionItem {
  readonly start: number;
  readonly end: number;
  readonly text: string;
  /** What kind of thing it is, in the words front ends draw icons for: "function", "class", "module", "keyword", ... */
  readonly type: string;
  /** Its type or signature on one line; empty when it was not asked for (long lists) or is not known. */
  readonly signature: string;
  /** First paragraph of its JSDoc. */
  readonly documentation?: string;
}

/** Proposals, best first; all of them replace `start` to `end` unless an item says otherwise. */
export interface Completion {
  readonly start: number;
  readonly end: number;
  readonly items: readonly CompletionItem[];
  /** "types": the checker answered; "runtime": only living values were looked at (the checker is warming up or was too slow). */
  readonly source: "types" | "runtime";
  /**
   * Living names do not belong here: nothing does (a comment, a string, the name of a new declaration), or these are the keys
   * of a type, or the members of what the cell itself declares, whose living namesake is something else.
   */
  readonly closed?: boolean;
}

/** Content of an `inspect_reply`: `data` is empty when nothing was found. */
export interface Inspection {
  readonly found: boolean;
  readonly data: Readonly<Record<string, string>>;
}

/** Content of an `is_complete_reply`. */
export type Completeness =
  | { readonly status: "complete" | "invalid" | "unknown" }
  | { readonly status: "incomplete"; readonly indent: string };

/** A finding of the type checker in one cell. Lines and columns count from 1. */
export interface Diagnostic {
  readonly category: "error" | "warning" | "suggestion";
  /** TypeScript's number, as in TS2322. */
  readonly code: number;
  readonly message: string;
  readonly start: number;
  readonly end: number;
  readonly line: number;
  readonly column: number;
  /** Two lines of text: the source line and carets under the finding. */
  readonly frame: string;
}

/** A living name of the session, found without running any of its code. */
export interface RuntimeName {
  readonly name: string;
  /** "function", "class", "instance", ...: what kind of value it holds. */
  readonly type: string;
  /** One line about the value, e.g. "number" or "(a, b)". */
  readonly signature?: string;
}

/** What the language service asks of the running session; both must answer without running a getter. */
export interface Runtime {
  /** Names of the globals (expression "") or of the properties of a chain like `a.b["c"]`; empty when it has no value, undefined while the session is busy. */
  complete(expression: string): Promise<readonly RuntimeName[] | undefined>;
  /** The value of a chain as a mime bundle; empty when it has none, undefined while the session is busy. */
  inspect(expression: string): Promise<Readonly<Record<string, unknown>> | undefined>;
}
