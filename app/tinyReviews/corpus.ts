import { type RandomStream, stream } from "../../src/random.js";
import { books } from "./books.js";
import { common } from "./common.js";
import { films } from "./films.js";
import { capitalised, Writer } from "./grammar.js";
import { restaurants } from "./restaurants.js";

const writer = new Writer({ ...common, ...films, ...restaurants, ...books });
const domains = ["film", "restaurant", "book"] as const;
/** How an opening goes on, as often as it stands here: an adjective for a thing of some kind, "and we ...", "I felt ...", a predicate, a noun, a person's doings. */
const frames = {
  film: ["whole", "whole", "part", "part", "parts", "we", "felt", "one", "noun", "person", "person"],
  restaurant: ["dish", "dish", "dishes", "setting", "place", "we", "felt", "one", "noun", "person", "person"],
  book: ["whole", "whole", "part", "part", "parts", "we", "felt", "one", "noun", "person", "person"],
} as const;
const turns: Readonly<Record<Feeling, Feeling>> = { praise: "blame", blame: "praise", plain: "plain" };

type Feeling = "praise" | "blame" | "plain";

/** A review, and its opening alone, which leaves open what the reviewer thinks. */
export interface Review {
  readonly text: string;
  readonly opening: string;
}

function pick<T>(from: readonly T[], random: RandomStream): T {
  const picked = from[random.integer(from.length)];
  if (picked === undefined) throw new Error("nothing to pick from");
  return picked;
}

/** The review with this number: always the same one. */
export function review(seed: number, number: number): Review {
  const random = stream(seed, "tiny-reviews/corpus", 0, number);
  const domain = pick(domains, random);
  const frame = pick(frames[domain], random);
  const remembered = new Map<string, string>();
  const write = (line: string): string => writer.write(line, random, remembered);
  const sentence = (line: string): string => capitalised(write(line));

  const opening = sentence(`{${domain}.open.${frame}}`);
  const mood = random.uniform();
  const feeling: Feeling = mood < 0.385 ? "praise" : mood < 0.86 ? "blame" : "plain";
  let text = `${opening} ${write(`{${domain}.${frame}.${feeling}}`)}`;
  const mixed = feeling !== "plain" && random.uniform() < 0.2;
  if (mixed) text += clause("turn", `${domain}.clause.${turns[feeling]}`);
  else if (feeling !== "plain" && random.uniform() < 0.3) text += clause("joint", `${domain}.clause.${feeling}`);
  text += feeling !== "plain" && !mixed && random.uniform() < 0.12 ? "!" : ".";

  const more = pick([0, 1, 1, 1, 2, 2], random);
  for (let i = 0; i < more; i++) {
    const next: Feeling = random.uniform() < (feeling === "plain" ? 0.75 : 0.12) ? "plain" : feeling;
    text += ` ${capitalised(fresh(`{${domain}.more.${next}}`))}`;
  }
  return { text: text.replaceAll(" ,", ","), opening };

  function clause(joint: string, symbol: string): string {
    return `${write(`{${joint}}`)} ${fresh(`{${symbol}}`)}`;
  }
  /** A part that does not start as something already in the review does: nobody is praised and blamed in one breath. */
  function fresh(line: string): string {
    for (let attempt = 0; attempt < 20; attempt++) {
      const part = write(line);
      const start = part.split(" ").slice(0, 2).join(" ").toLowerCase();
      if (start === "i loved" || start === "i hated" || !text.toLowerCase().includes(start)) return part;
    }
    return write(line);
  }
}

/**
 * `count` different openings of reviews, from the same grammar; shared with no particular review of the corpus.
 * @throws Error if the grammar does not have that many
 */
export function openings(seed: number, count: number): string[] {
  const found = new Set<string>();
  for (let number = 0; found.size < count; number++) {
    if (number > 100 * count) throw new Error(`the grammar gives only ${found.size} openings, not ${count}`);
    const random = stream(seed, "tiny-reviews/openings", 0, number);
    const domain = pick(domains, random);
    const frame = pick(frames[domain], random);
    found.add(capitalised(writer.write(`{${domain}.open.${frame}}`, random)));
  }
  return [...found];
}
