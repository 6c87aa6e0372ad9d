import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { z } from "zod";

/** A mime bundle: mime type to content. Binary content is base64 text. */
export type MimeBundle = Record<string, unknown>;

const multiline = z
  .union([z.string(), z.array(z.string())])
  .transform((text) => (Array.isArray(text) ? text.join("") : text));
const metadata = z.record(z.string(), z.unknown());

const bundle = z
  .record(z.string(), z.unknown())
  .transform((data) =>
    Object.fromEntries(
      Object.entries(data).map(([mime, value]) => [
        mime,
        Array.isArray(value) && !/json/.test(mime) && value.every((line) => typeof line === "string")
          ? value.join("")
          : value,
      ]),
    ),
  );

const output = z.discriminatedUnion("output_type", [
  z.object({ output_type: z.literal("stream"), name: z.enum(["stdout", "stderr"]), text: multiline }),
  z.object({ output_type: z.literal("display_data"), data: bundle, metadata: metadata.default({}) }),
  z.object({
    output_type: z.literal("execute_result"),
    data: bundle,
    metadata: metadata.default({}),
    execution_count: z.number().nullable().default(null),
  }),
  z.object({ output_type: z.literal("error"), ename: z.string(), evalue: z.string(), traceback: z.array(z.string()) }),
]);

const cellBase = { id: z.string().optional(), metadata: metadata.default({}), source: multiline };
const cell = z.discriminatedUnion("cell_type", [
  z.object({ ...cellBase, cell_type: z.literal("markdown"), attachments: metadata.optional() }),
  z.object({ ...cellBase, cell_type: z.literal("raw"), attachments: metadata.optional() }),
  z.object({
    ...cellBase,
    cell_type: z.literal("code"),
    outputs: z.array(output).default([]),
    execution_count: z.number().nullable().default(null),
  }),
]);

const notebook = z.object({
  nbformat: z.literal(4),
  nbformat_minor: z.number(),
  metadata: metadata.default({}),
  cells: z.array(cell),
});

/** One output of a code cell, as nbformat 4 writes it, with texts joined. */
export type Output = z.infer<typeof output>;
/** One cell. */
export type Cell = z.infer<typeof cell>;
/** A code cell. */
export type CodeCell = Extract<Cell, { cell_type: "code" }>;
/** A notebook of nbformat 4. */
export type Notebook = z.infer<typeof notebook>;

/**
 * Reads a notebook.
 * @throws Error naming the file and the first thing that is wrong with it.
 */
export function readNotebook(file: string): Notebook {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    throw new Error(
      missing
        ? `there is no notebook ${file}; name a file that ends in .ipynb`
        : `${file} cannot be read as a notebook: ${(error as Error).message}`,
      { cause: error },
    );
  }
  const parsed = notebook.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new Error(
    `${file} is not a notebook of nbformat 4: ${issue?.path.join(".") ?? ""} ${issue?.message ?? ""}. Open and save it in JupyterLab to bring it up to date.`,
  );
}

/** Writes a notebook as JupyterLab does: texts as lists of lines, one space of indent; never half a file. */
export function writeNotebook(file: string, book: Notebook): void {
  const json = {
    cells: book.cells.map((one) => ({
      cell_type: one.cell_type,
      ...(one.cell_type === "code" ? { execution_count: one.execution_count } : {}),
      ...(one.id === undefined ? {} : { id: one.id }),
      metadata: one.metadata,
      ...(one.cell_type === "code" ? { outputs: one.outputs.map(writableOutput) } : {}),
      ...(one.cell_type !== "code" && one.attachments ? { attachments: one.attachments } : {}),
      source: lines(one.source),
    })),
    metadata: book.metadata,
    nbformat: 4,
    nbformat_minor: book.nbformat_minor,
  };
  const partial = `${file}.${process.pid}.partial`;
  try {
    writeFileSync(partial, `${JSON.stringify(json, null, 1)}\n`);
    renameSync(partial, file);
  } catch (error) {
    rmSync(partial, { force: true });
    throw new Error(`${file} could not be written: ${(error as Error).message}`, { cause: error });
  }
}

/**
 * The notebook with parameters set: a cell of assignments after the cell tagged `parameters` (or before the first code
 * cell), tagged `injected-parameters`; an earlier injected cell is replaced.
 * @param values name to a JSON-like value
 */
export function withParameters(book: Notebook, values: Readonly<Record<string, unknown>>): Notebook {
  if (Object.keys(values).length === 0) return book;
  const tagged = (one: Cell, tag: string) => Array.isArray(one.metadata.tags) && one.metadata.tags.includes(tag);
  const cells = book.cells.filter((one) => !tagged(one, "injected-parameters"));
  const source = [
    "// Parameters",
    ...Object.entries(values).map(([name, value]) => `var ${name} = ${JSON.stringify(value)};`),
  ].join("\n");
  const injected: Cell = {
    cell_type: "code",
    ...(book.nbformat_minor >= 5 ? { id: "injected-parameters" } : {}),
    metadata: { tags: ["injected-parameters"] },
    source,
    outputs: [],
    execution_count: null,
  };
  const parameters = cells.findIndex((one) => tagged(one, "parameters"));
  const firstCode = cells.findIndex((one) => one.cell_type === "code");
  const at = parameters >= 0 ? parameters + 1 : Math.max(0, firstCode);
  return { ...book, cells: [...cells.slice(0, at), injected, ...cells.slice(at)] };
}

/** Reads `name=value` as given on a command line: JSON where it is JSON, text otherwise. */
export function parseParameter(text: string): [name: string, value: unknown] {
  const match = /^([A-Za-z_$][\w$]*)=(.*)$/s.exec(text);
  if (!match) throw new Error(`-p ${text}: expected name=value, for example -p steps=3`);
  const [, name = "", value = ""] = match;
  try {
    return [name, JSON.parse(value)];
  } catch {
    return [name, value];
  }
}

function writableOutput(one: Output): unknown {
  switch (one.output_type) {
    case "stream":
      return { name: one.name, output_type: "stream", text: lines(one.text) };
    case "error":
      return one;
    case "display_data":
      return { data: writableBundle(one.data), metadata: one.metadata, output_type: "display_data" };
    case "execute_result":
      return {
        data: writableBundle(one.data),
        execution_count: one.execution_count,
        metadata: one.metadata,
        output_type: "execute_result",
      };
  }
}

function writableBundle(data: MimeBundle): MimeBundle {
  return Object.fromEntries(
    Object.entries(data).map(([mime, value]) => [
      mime,
      typeof value === "string" && (mime.startsWith("text/") || mime === "image/svg+xml") ? lines(value) : value,
    ]),
  );
}

function lines(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}
