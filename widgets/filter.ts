import { channelOf, channels } from "./channels.js";
import { clipFlags, type Lens } from "./lens.js";

/** A filter that was understood: says of each token, by its index among all tokens, whether it matches. */
export type Filter = (token: number) => boolean;

/** A filter that was not understood: what is wrong, where, and what would be right. */
export class FilterError extends Error {
  override readonly name = "FilterError";
  constructor(
    message: string,
    /** Place in the source, counted in UTF-16 units from 0. */
    readonly at: number,
  ) {
    super(message);
  }
}

/**
 * Reads a filter over tokens, such as `kl > 0.5 and advantage < 0`, `abs(ratio - 1) > 0.2 or clipped`, `text ~ "great"`,
 * `sum(kl) > 5 and not eos`. Names are the channels, `score`, `length`, `episode` and `position` (from 1), `id`, `text`,
 * `prompt`, `eos`, `cut`, `clipped`; functions are `abs` and, over the token's episode, `sum`, `mean`, `min`, `max`.
 * Comparisons with NaN are false. The source is parsed, never evaluated as code.
 * @throws {FilterError} naming the place and the remedy.
 */
export function parseFilter(source: string, lens: Lens, epoch = 0): Filter {
  if (source.length > 1000) throw new FilterError(`a filter can have 1000 characters, not ${source.length}`, 1000);
  const parser = new Parser(source, namesOf(lens, epoch), lens);
  const node = parser.whole();
  if (node.type !== "boolean") {
    throw new FilterError(
      `"${source.trim()}" is a ${node.type}, not a condition: compare it, as in "kl > 0.5"`,
      node.at,
    );
  }
  return node.value;
}

type Node = { readonly at: number } & (
  | { readonly type: "number"; readonly value: (token: number) => number }
  | { readonly type: "text"; readonly value: (token: number) => string }
  | { readonly type: "boolean"; readonly value: (token: number) => boolean }
);
type Name = Node extends infer N ? (N extends Node ? Omit<N, "at"> : never) : never;

interface Sign {
  readonly kind: "number" | "text" | "word" | "sign" | "end";
  readonly text: string;
  readonly at: number;
}

const signs =
  /\s*(?:(\d+\.?\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?)|("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|([\p{L}_][\p{L}\d_]*)|(<=|>=|==|!=|&&|\|\||[-+*/()<>=~!]))/iuy;
const aggregates = ["sum", "mean", "min", "max"] as const;

class Parser {
  readonly #signs: readonly Sign[];
  #next = 0;

  constructor(
    source: string,
    private readonly names: ReadonlyMap<string, Name | string>,
    private readonly lens: Lens,
  ) {
    this.#signs = read(source);
  }

  whole(): Node {
    if (this.#peek().kind === "end") throw new FilterError('the filter is empty: try "kl > 0.5"', 0);
    const node = this.#or();
    const rest = this.#peek();
    if (rest.kind !== "end") {
      throw new FilterError(`"${rest.text}" was not expected here: join conditions with "and" or "or"`, rest.at);
    }
    return node;
  }

  #or(): Node {
    let left = this.#and();
    while (this.#take("or", "||")) {
      const a = condition(left).value;
      const b = condition(this.#and()).value;
      left = { type: "boolean", at: left.at, value: (token) => a(token) || b(token) };
    }
    return left;
  }

  #and(): Node {
    let left = this.#not();
    while (this.#take("and", "&&")) {
      const a = condition(left).value;
      const b = condition(this.#not()).value;
      left = { type: "boolean", at: left.at, value: (token) => a(token) && b(token) };
    }
    return left;
  }

  #not(): Node {
    const sign = this.#take("not", "!");
    if (!sign) return this.#comparison();
    const inner = condition(this.#not()).value;
    return { type: "boolean", at: sign.at, value: (token) => !inner(token) };
  }

  #comparison(): Node {
    const left = this.#sum();
    const sign = this.#take("<", "<=", ">", ">=", "=", "==", "!=", "~");
    if (!sign) return left;
    const right = this.#sum();
    const node: Node = { type: "boolean", at: left.at, value: compare(sign, left, right) };
    const chained = this.#peek();
    if (["<", "<=", ">", ">=", "=", "==", "!=", "~"].includes(chained.text) && chained.kind === "sign") {
      throw new FilterError(`comparisons cannot be chained: write "a < b and b < c"`, chained.at);
    }
    return node;
  }

  #sum(): Node {
    let left = this.#product();
    for (let sign = this.#take("+", "-"); sign; sign = this.#take("+", "-")) {
      const a = number(left).value;
      const b = number(this.#product()).value;
      left = {
        type: "number",
        at: left.at,
        value: sign.text === "+" ? (token) => a(token) + b(token) : (token) => a(token) - b(token),
      };
    }
    return left;
  }

  #product(): Node {
    let left = this.#unary();
    for (let sign = this.#take("*", "/"); sign; sign = this.#take("*", "/")) {
      const a = number(left).value;
      const b = number(this.#unary()).value;
      left = {
        type: "number",
        at: left.at,
        value: sign.text === "*" ? (token) => a(token) * b(token) : (token) => a(token) / b(token),
      };
    }
    return left;
  }

  #unary(): Node {
    const sign = this.#take("-");
    if (!sign) return this.#atom();
    const inner = number(this.#unary()).value;
    return { type: "number", at: sign.at, value: (token) => -inner(token) };
  }

  #atom(): Node {
    const sign = this.#peek();
    this.#next++;
    if (sign.kind === "number") {
      const constant = Number(sign.text);
      return { type: "number", at: sign.at, value: () => constant };
    }
    if (sign.kind === "text") {
      const constant = sign.text
        .slice(1, -1)
        .replace(/\\(.)/g, (_, c: string) => (c === "n" ? "\n" : c === "t" ? "\t" : c));
      return { type: "text", at: sign.at, value: () => constant };
    }
    if (sign.text === "(") {
      const inner = this.#or();
      this.#expect(")", sign);
      return inner;
    }
    if (sign.kind === "word") return this.#named(sign);
    throw new FilterError(
      sign.kind === "end"
        ? "the filter ends too early: a number or a name is missing"
        : `a number or a name was expected, not "${sign.text}"`,
      sign.at,
    );
  }

  #named(sign: Sign): Node {
    const word = sign.text.toLowerCase();
    if (this.#peek().text === "(") return this.#call(sign, word);
    const name = this.names.get(word);
    if (typeof name === "string") throw new FilterError(name, sign.at);
    if (name) return { ...name, at: sign.at } as Node;
    const known = [...this.names].filter(([, value]) => typeof value !== "string").map(([key]) => key);
    throw new FilterError(
      `there is no "${sign.text}"${nearest(word, known)}; names: ${mainNames(known).join(", ")}`,
      sign.at,
    );
  }

  #call(sign: Sign, word: string): Node {
    const open = this.#peek();
    this.#next++;
    const inner = number(this.#or()).value;
    this.#expect(")", open);
    if (word === "abs") return { type: "number", at: sign.at, value: (token) => Math.abs(inner(token)) };
    const aggregate = aggregates.find((name) => name === word);
    if (!aggregate) {
      throw new FilterError(
        `there is no function "${sign.text}"${nearest(word, ["abs", ...aggregates])}; functions: abs, ${aggregates.join(", ")}`,
        sign.at,
      );
    }
    const perEpisode = overEpisodes(aggregate, inner, this.lens);
    return { type: "number", at: sign.at, value: (token) => perEpisode[this.lens.episodeOf(token)] ?? Number.NaN };
  }

  #peek(): Sign {
    return this.#signs[this.#next] as Sign;
  }

  #take(...texts: string[]): Sign | undefined {
    const sign = this.#peek();
    if ((sign.kind !== "word" && sign.kind !== "sign") || !texts.includes(sign.text.toLowerCase())) return undefined;
    this.#next++;
    return sign;
  }

  #expect(text: string, open: Sign): void {
    if (!this.#take(text)) throw new FilterError(`the "(" is never closed: add ")"`, open.at);
  }
}

function read(source: string): Sign[] {
  const found: Sign[] = [];
  let at = 0;
  while (at < source.length) {
    signs.lastIndex = at;
    const match = signs.exec(source);
    if (!match) {
      const rest = source.slice(at);
      const place = at + (rest.length - rest.trimStart().length);
      if (place >= source.length) break;
      const c = String.fromCodePoint(source.codePointAt(place) ?? 0);
      throw new FilterError(
        c === '"' || c === "'"
          ? `the text that begins here is never closed: add ${c}`
          : `"${c}" has no meaning in a filter`,
        place,
      );
    }
    const [whole, digits, text, word, sign] = match;
    const start = at + (whole.length - whole.trimStart().length);
    if (digits !== undefined) found.push({ kind: "number", text: digits, at: start });
    else if (text !== undefined) found.push({ kind: "text", text, at: start });
    else if (word !== undefined) found.push({ kind: "word", text: word, at: start });
    else found.push({ kind: "sign", text: sign ?? "", at: start });
    at += whole.length;
  }
  found.push({ kind: "end", text: "", at: source.length });
  return found;
}

function condition(node: Node): Extract<Node, { type: "boolean" }> {
  if (node.type === "boolean") return node;
  throw new FilterError(`a condition was expected, not a ${node.type}: compare it, as in "kl > 0.5"`, node.at);
}

function number(node: Node): Extract<Node, { type: "number" }> {
  if (node.type === "number") return node;
  throw new FilterError(`a number was expected, not a ${node.type}`, node.at);
}

function compare(sign: Sign, left: Node, right: Node): (token: number) => boolean {
  if (left.type === "text" && right.type === "text") {
    const [a, b] = [left.value, right.value];
    if (sign.text === "~") return (token) => a(token).toLowerCase().includes(b(token).toLowerCase());
    if (sign.text === "=" || sign.text === "==") return (token) => a(token) === b(token);
    if (sign.text === "!=") return (token) => a(token) !== b(token);
    throw new FilterError(`texts can be compared with =, != and ~ (contains), not with ${sign.text}`, sign.at);
  }
  if (left.type !== "number" || right.type !== "number" || sign.text === "~") {
    throw new FilterError(
      sign.text === "~"
        ? `~ asks whether a text contains another, as in text ~ "great"`
        : `a ${left.type} cannot be compared with a ${right.type}`,
      sign.at,
    );
  }
  const [a, b] = [left.value, right.value];
  switch (sign.text) {
    case "<":
      return (token) => a(token) < b(token);
    case "<=":
      return (token) => a(token) <= b(token);
    case ">":
      return (token) => a(token) > b(token);
    case ">=":
      return (token) => a(token) >= b(token);
    case "!=":
      return (token) => a(token) !== b(token);
    default:
      return (token) => a(token) === b(token);
  }
}

function overEpisodes(kind: (typeof aggregates)[number], inner: (token: number) => number, lens: Lens): Float64Array {
  return Float64Array.from({ length: lens.episodes }, (_, episode) => {
    let sum = 0;
    let count = 0;
    let low = Number.POSITIVE_INFINITY;
    let high = Number.NEGATIVE_INFINITY;
    for (let i = lens.offsets[episode] ?? 0; i < (lens.offsets[episode + 1] ?? 0); i++) {
      if (!lens.mask[i]) continue;
      const x = inner(i);
      sum += x;
      count++;
      low = Math.min(low, x);
      high = Math.max(high, x);
    }
    return { sum, mean: sum / count, min: low, max: high }[kind];
  });
}

/** What a filter can speak of. A text in place of a name says why this value does not have it yet. */
function namesOf(lens: Lens, epoch: number): Map<string, Name | string> {
  const names = new Map<string, Name | string>();
  for (const channel of channels) {
    const column = lens.column(channel.key, epoch);
    const name: Name | string = column
      ? { type: "number", value: (token) => column[token] ?? Number.NaN }
      : `${channel.label} is not there yet: it comes with ${channelOf(channel.key).from}()`;
    for (const word of [channel.key.toLowerCase(), ...channel.aliases]) names.set(word, name);
  }
  const episode = (token: number) => lens.episodeOf(token);
  const end = (token: number) => lens.offsets[episode(token) + 1] ?? 0;
  names.set(
    "score",
    lens.scores.length > 0
      ? { type: "number", value: (token) => lens.scores[episode(token)] ?? Number.NaN }
      : "score is not there yet: it comes with score()",
  );
  names.set("episode", { type: "number", value: (token) => episode(token) + 1 });
  names.set("position", { type: "number", value: (token) => token - (lens.offsets[episode(token)] ?? 0) + 1 });
  names.set("length", { type: "number", value: (token) => end(token) - (lens.offsets[episode(token)] ?? 0) });
  names.set("id", { type: "number", value: (token) => lens.vocabulary[lens.pieces[token] ?? -1]?.[0] ?? -1 });
  names.set("text", { type: "text", value: (token) => lens.textOf(token) });
  names.set("prompt", { type: "text", value: (token) => lens.prompts[episode(token)] ?? "" });
  names.set("eos", { type: "boolean", value: (token) => lens.ends[episode(token)] === "stop" });
  names.set("cut", { type: "boolean", value: (token) => lens.ends[episode(token)] === "length" });
  names.set("last", { type: "boolean", value: (token) => token === end(token) - 1 });
  const clipped = clipFlags(lens, epoch);
  names.set(
    "clipped",
    clipped
      ? { type: "boolean", value: (token) => clipped[token] === 1 }
      : "clipped is not there yet: it comes with update()",
  );
  return names;
}

function mainNames(known: readonly string[]): string[] {
  const aliases = new Set(channels.flatMap((channel) => channel.aliases));
  return known.filter((name) => !aliases.has(name));
}

function nearest(word: string, known: readonly string[]): string {
  const best = known.map((name) => [distance(word, name), name] as const).sort((a, b) => a[0] - b[0])[0];
  return best && best[0] <= Math.max(1, Math.floor(word.length / 3)) ? `: did you mean "${best[1]}"?` : "";
}

function distance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      row[j] = Math.min(
        (previous[j] ?? 0) + 1,
        (row[j - 1] ?? 0) + 1,
        (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1),
      );
    }
    previous = row;
  }
  return previous[b.length] ?? 0;
}
