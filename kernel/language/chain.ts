/** A chain of names such as `a.b["c"]` in the text, and what has been typed of the name that follows. */
export interface Chain {
  /** The chain before the last dot; empty for a plain name. */
  readonly object: string;
  /** The letters of the last name before the offset. */
  readonly typed: string;
  /** Where `typed` begins. */
  readonly start: number;
  /** Where the chain begins. */
  readonly root: number;
  /** The quote that has been opened, where the name is an index: `a["b`. */
  readonly quote?: string;
}

const NAME = "[\\p{ID_Start}$_][\\p{ID_Continue}$\\u200c\\u200d]*";
const LINK = `(?:\\s*\\??\\.\\s*#?${NAME}|\\s*(?:\\?\\.)?\\[\\s*(?:\\d+|"[^"\\\\\\n]*"|'[^'\\\\\\n]*')\\s*\\])`;
const BEFORE = new RegExp(`(?:(?<object>${NAME}${LINK}*)\\s*\\??\\.\\s*)?(?<typed>(?:${NAME})?)$`, "u");
const WHOLE = new RegExp(`${NAME}${LINK}*$`, "u");

/** The chain that ends at `offset`, or undefined where no name is being typed (a number, a string's inside, a call's result). */
export function chainBefore(code: string, offset: number): Chain | undefined {
  const text = code.slice(Math.max(0, offset - 1000), offset);
  const match = BEFORE.exec(text);
  if (match?.groups === undefined) return undefined;
  const { object = "", typed = "" } = match.groups;
  const before = text.slice(0, match.index);
  if (/[.\p{ID_Continue}$]\s*$/u.test(before) && !/\.\.\.\s*$/.test(before) && /[.]\s*$/.test(before)) return undefined;
  return { object: spelled(object), typed, start: offset - typed.length, root: offset - match[0].length };
}

/** The chain whose index is being typed in the string that begins at `quote`: `a.b` in `a.b["c`. */
export function chainIndexed(code: string, quote: number, offset: number): Chain | undefined {
  const text = code.slice(Math.max(0, quote - 1000), quote).replace(/\s*(?:\?\.)?\[\s*$/, "[");
  if (!text.endsWith("[")) return undefined;
  const object = WHOLE.exec(text.slice(0, -1))?.[0];
  if (object === undefined || /[.)\]]\s*$/.test(text.slice(0, -1 - object.length))) return undefined;
  const start = quote + 1;
  const root = text.length - 1 - object.length + Math.max(0, quote - 1000);
  return { object: spelled(object), typed: code.slice(start, offset), start, root, quote: code[quote] ?? '"' };
}

/** The chain around `offset`: `a.b` when the cursor stands anywhere in `b` of `a.b.c`. */
export function chainAt(code: string, offset: number): string | undefined {
  const rest = /^[\p{ID_Continue}$\u200c\u200d]*/u.exec(code.slice(offset))?.[0].length ?? 0;
  const text = code.slice(Math.max(0, offset - 1000), offset + rest);
  const match = WHOLE.exec(text);
  if (
    match === null ||
    (/[.)\]"'`]\s*\??\.?\s*$/.test(text.slice(0, match.index)) && /\.\s*$/.test(text.slice(0, match.index)))
  )
    return undefined;
  return spelled(match[0]);
}

/** Without blanks and optional links: these do not matter to a lookup. */
function spelled(chain: string): string {
  return chain
    .replace(/\s+(?=[.?[])|(?<=\.)\s+/g, "")
    .replace(/\?\.(?=\[)/g, "")
    .replaceAll("?.", ".");
}
