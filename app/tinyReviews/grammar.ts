import type { RandomStream } from "../../src/random.js";

/**
 * A grammar: from a symbol to its alternatives, one per line of text. In a line, `{symbol}` is replaced by one of the
 * symbol's alternatives, `{=symbol}` likewise but the same one throughout a text, `[this|that|]` by one of the parts,
 * a line that is `-` is empty, and `a` becomes `an` where the next word wants it. A line that starts with `3x ` is three times as likely.
 */
export type Grammar = Readonly<Record<string, string>>;

interface Alternatives {
  readonly texts: readonly string[];
  readonly total: number;
  readonly weights: readonly number[];
}

/** Writes texts from a grammar, at random but for the stream's sake always the same ones. */
export class Writer {
  readonly #rules: ReadonlyMap<string, Alternatives>;

  /** @throws Error if a line mentions a symbol that the grammar does not have */
  constructor(grammar: Grammar) {
    this.#rules = new Map(Object.entries(grammar).map(([symbol, lines]) => [symbol, alternatives(symbol, lines)]));
    for (const [symbol, { texts }] of this.#rules) {
      for (const text of texts) {
        for (const [, name = ""] of text.matchAll(/\{=?([^}]*)\}/g)) {
          if (!this.#rules.has(name))
            throw new Error(`the rule ${symbol} mentions {${name}}, which is not in the grammar: "${text}"`);
        }
      }
    }
  }

  /** Whether the grammar has a rule of this name. */
  has(symbol: string): boolean {
    return this.#rules.has(symbol);
  }

  /** One text: the given line with everything in it replaced, with articles and spaces put right. `remembered` holds the `{=symbol}` choices. */
  write(line: string, random: RandomStream, remembered = new Map<string, string>()): string {
    return spell(this.#expand(line, random, remembered));
  }

  #expand(line: string, random: RandomStream, remembered: Map<string, string>): string {
    const chosen = line.replace(/\[([^\]]*)\]/g, (_, parts: string) => {
      const options = parts.split("|");
      return options[random.integer(options.length)] ?? "";
    });
    return chosen.replace(/\{(=?)([^}]*)\}/g, (_, same: string, symbol: string) => {
      const before = same ? remembered.get(symbol) : undefined;
      if (before !== undefined) return before;
      const text = this.#expand(this.#choose(symbol, random), random, remembered);
      if (same) remembered.set(symbol, text);
      return text;
    });
  }

  #choose(symbol: string, random: RandomStream): string {
    const rule = this.#rules.get(symbol);
    if (!rule) throw new Error(`the grammar has no rule ${symbol}`);
    let left = random.integer(rule.total);
    for (const [i, weight] of rule.weights.entries()) {
      if (left < weight) return rule.texts[i] ?? "";
      left -= weight;
    }
    throw new Error(`the weights of ${symbol} do not add up`);
  }
}

function alternatives(symbol: string, lines: string): Alternatives {
  const texts: string[] = [];
  const weights: number[] = [];
  for (const line of lines.split("\n").map((text) => text.trim())) {
    if (line === "") continue;
    const [, times = "1", text = ""] = /^(?:(\d+)x )?(.*)$/.exec(line) ?? [];
    texts.push(text === "-" ? "" : text);
    weights.push(Number(times));
  }
  if (texts.length === 0) throw new Error(`the rule ${symbol} has no alternatives`);
  return { texts, weights, total: weights.reduce((sum, weight) => sum + weight, 0) };
}

/** Articles, single spaces, no space before punctuation. */
function spell(text: string): string {
  return text
    .replace(/\s+/g, " ")
    .replace(/ ([,.!?;:])/g, "$1")
    .replace(/\b([Aa])n? (?=([a-z]+))/g, (_, a: string, next: string) =>
      /^([aeiou]|hour|honest)/i.test(next) && !/^(one|uni|use|euro)/i.test(next) ? `${a}n ` : `${a} `,
    )
    .trim();
}

/** The text with a capital at its start. */
export function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
