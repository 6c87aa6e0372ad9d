/** The magics there are: `%lsmagic`, `%name?` and completion read this table; commands.ts says what each does. */

/** How a magic is written, and what it does. */
export interface MagicDocumentation {
  readonly usage: string;
  readonly help: string;
}

/** Magics of one line, by name. */
export const LINE_MAGICS = {
  lsmagic: { usage: "%lsmagic", help: "list the magics, each with what it does" },
  time: { usage: "%time CODE", help: "run CODE once and print how long it took" },
  timeit: {
    usage: "%timeit [-n LOOPS] [-r RUNS] CODE",
    help: "run CODE many times and print the mean time of one",
  },
  who: { usage: "%who", help: "the notebook's variables" },
  whos: { usage: "%whos", help: "the notebook's variables with their types and values" },
  reset: { usage: "%reset [-f] [NAME ...]", help: "forget all variables, or those named" },
  env: { usage: "%env [NAME[=VALUE]]", help: "show all environment variables, show one, or set one" },
  cd: { usage: "%cd [FOLDER|-]", help: "change the working directory (without FOLDER: to the home folder; -: back)" },
  pwd: { usage: "%pwd", help: "the working directory" },
  load: { usage: "%load FILE|URL", help: "put the text of FILE into the cell" },
  run: { usage: "%run FILE", help: "run a TypeScript or JavaScript file as if its text stood here" },
  npm: {
    usage: "%npm add|remove PACKAGE ...",
    help: "install packages next to the notebook; they can be imported at once",
  },
  types: {
    usage: "%types off|warn|strict",
    help: "type errors in cells: not looked for, shown as warnings, or refused",
  },
} as const satisfies Readonly<Record<string, MagicDocumentation>>;

/** Magics of a whole cell, by name. */
export const CELL_MAGICS = {
  bash: { usage: "%%bash", help: "run the cell with bash" },
  sh: { usage: "%%sh", help: "run the cell with sh" },
  time: { usage: "%%time", help: "run the cell and print how long it took" },
  timeit: { usage: "%%timeit [-n LOOPS] [-r RUNS]", help: "run the cell many times and print the mean time of one" },
  html: { usage: "%%html", help: "show the cell as HTML" },
  markdown: { usage: "%%markdown", help: "show the cell as Markdown" },
  latex: { usage: "%%latex", help: "show the cell as LaTeX" },
  svg: { usage: "%%svg", help: "show the cell as SVG" },
  writefile: { usage: "%%writefile [-a] FILE", help: "write the cell to FILE (-a: to its end)" },
} as const satisfies Readonly<Record<string, MagicDocumentation>>;

export type LineMagicName = keyof typeof LINE_MAGICS;
export type CellMagicName = keyof typeof CELL_MAGICS;

const others: readonly MagicDocumentation[] = [
  { usage: "!COMMAND", help: "run COMMAND in a shell; {NAME} in it stands for a variable's value" },
  { usage: "?NAME  NAME?", help: "what is known of NAME" },
  { usage: "??NAME  NAME??", help: "the source of NAME" },
];

export function isLineMagic(name: string): name is LineMagicName {
  return Object.hasOwn(LINE_MAGICS, name);
}

export function isCellMagic(name: string): name is CellMagicName {
  return Object.hasOwn(CELL_MAGICS, name);
}

/** All magics, a line each. */
export function magicsTable(): string {
  const all = [...Object.values(LINE_MAGICS), ...Object.values(CELL_MAGICS), ...others];
  const width = Math.max(...all.map(({ usage }) => usage.length));
  return `${all.map(({ usage, help }) => `${usage.padEnd(width)}  ${help}`).join("\n")}\n`;
}

/** What is to be said of `%name` or `%%name`. */
export function magicHelp(written: string): string | undefined {
  const name = written.replace(/^%%?/, "");
  const found: readonly (MagicDocumentation | false)[] = [
    !written.startsWith("%%") && isLineMagic(name) && LINE_MAGICS[name],
    isCellMagic(name) && CELL_MAGICS[name],
  ];
  const shown = found.flatMap((one) => (one ? [`${one.usage}\n    ${one.help}`] : []));
  return shown.length > 0 ? shown.join("\n") : undefined;
}
