import type { Completion } from "./answers.js";

/** The magics that `%lsmagic` lists, with what each says of itself there. */
export const LINE_MAGICS: Readonly<Record<string, string>> = {
  cd: "%cd [FOLDER]",
  env: "%env [NAME[=VALUE]]",
  load: "%load FILE|URL",
  lsmagic: "%lsmagic",
  npm: "%npm add PACKAGE ...",
  pwd: "%pwd",
  reset: "%reset [NAME ...]",
  run: "%run FILE",
  time: "%time CODE",
  timeit: "%timeit [-n LOOPS] [-r RUNS] CODE",
  types: "%types off|warn|strict",
  who: "%who",
  whos: "%whos",
};
export const CELL_MAGICS: Readonly<Record<string, string>> = {
  bash: "%%bash",
  html: "%%html",
  latex: "%%latex",
  markdown: "%%markdown",
  sh: "%%sh",
  svg: "%%svg",
  time: "%%time",
  timeit: "%%timeit",
  writefile: "%%writefile FILE",
};

/** Names of magics where one is being typed: at the start of a line, cell magics at the start of the cell. */
export function completeMagic(code: string, offset: number): Completion | undefined {
  const before = code.slice(0, offset);
  const typed = /(?:^|\n)[ \t]*(%%?[a-z]*)$/.exec(before)?.[1];
  if (typed === undefined) return undefined;
  const start = offset - typed.length;
  const first = before.slice(0, start).trim() === "";
  const names = [
    ...Object.entries(LINE_MAGICS).map(([name, signature]) => ({ text: `%${name}`, signature })),
    ...Object.entries(first ? CELL_MAGICS : {}).map(([name, signature]) => ({ text: `%%${name}`, signature })),
  ];
  const items = names
    .filter(({ text }) => text.startsWith(typed))
    .map(({ text, signature }) => ({ start, end: offset, text, type: "magic", signature }));
  return { start, end: offset, items, source: "runtime" };
}
