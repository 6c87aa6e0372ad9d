import { CELL_MAGICS, LINE_MAGICS } from "../session/magics/catalogue.js";
import type { Completion } from "./answers.js";

/** Names of magics where one is being typed: at the start of a line, cell magics at the start of the cell. */
export function completeMagic(code: string, offset: number): Completion | undefined {
  const before = code.slice(0, offset);
  const typed = /(?:^|\n)[ \t]*(%%?[a-z]*)$/.exec(before)?.[1];
  if (typed === undefined) return undefined;
  const start = offset - typed.length;
  const first = before.slice(0, start).trim() === "";
  const names = [
    ...Object.entries(LINE_MAGICS).map(([name, { usage }]) => ({ text: `%${name}`, signature: usage })),
    ...Object.entries(first ? CELL_MAGICS : {}).map(([name, { usage }]) => ({ text: `%%${name}`, signature: usage })),
  ];
  const items = names
    .filter(({ text }) => text.startsWith(typed))
    .map(({ text, signature }) => ({ start, end: offset, text, type: "magic", signature }));
  return { start, end: offset, items, source: "runtime" };
}
