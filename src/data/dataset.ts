import { displaySymbol, type MimeBundle } from "../display.js";
import { stream } from "../random.js";

/** An immutable list of rows with a name. Slicing and shuffling give other datasets. */
export interface Dataset<Row> extends Iterable<Row> {
  /** Where it came from, and what was done to it: `movie-snippets[:500]`. */
  readonly name: string;
  readonly length: number;
  /** The row with this index; negative ones count from the end. @throws RangeError if there is none */
  at(index: number): Row;
  /** Rows `start` (0) up to but without `end` (the length); negative ones count from the end. */
  slice(start?: number, end?: number): Dataset<Row>;
  /** The same rows in a random order, which the seed decides. */
  shuffle(seed: number): Dataset<Row>;
  /** Another dataset, one row for each row. */
  map<Other>(change: (row: Row, index: number) => Other): Dataset<Other>;
  toArray(): readonly Row[];
}

/** A dataset of these rows, which must not change any more. */
export function dataset<Row>(name: string, rows: readonly Row[]): Dataset<Row> {
  const all = Object.freeze([...rows]);
  return Object.freeze({
    name,
    length: all.length,
    [Symbol.iterator]: () => all[Symbol.iterator](),
    at: (index: number): Row => {
      const position = index < 0 ? index + all.length : index;
      if (!Number.isInteger(index) || position < 0 || position >= all.length) {
        throw new RangeError(`${name} has ${all.length} rows; there is no row ${index}`);
      }
      return all[position] as Row;
    },
    slice: (start?: number, end?: number) =>
      dataset(`${name}[${start ?? ""}:${end ?? ""}]`, all.slice(start ?? 0, end ?? all.length)),
    shuffle: (seed: number) =>
      dataset(
        `${name} shuffled by ${seed}`,
        Array.from(stream(seed, "dataset/shuffle").permutation(all.length), (i) => all[i] as Row),
      ),
    map: <Other>(change: (row: Row, index: number) => Other) => dataset(name, all.map(change)),
    toArray: () => all,
    [Symbol.for("nodejs.util.inspect.custom")]: () => describe(name, all),
    [displaySymbol]: (): MimeBundle => ({ "text/plain": describe(name, all), "text/html": table(name, all) }),
  });
}

function describe(name: string, rows: readonly unknown[]): string {
  const shown = rows.slice(0, 5).map((row) => `  ${typeof row === "string" ? JSON.stringify(row) : show(row)}`);
  if (rows.length > shown.length) shown.push(`  ... ${rows.length - shown.length} more`);
  return `Dataset ${name}, ${rows.length} rows\n${shown.join("\n")}`;
}

/** The first rows as an HTML table, in whatever style the page has; a column per field, or one for texts. */
function table(name: string, rows: readonly unknown[]): string {
  const shown = rows.slice(0, 10);
  const isRecord = (row: unknown): row is Readonly<Record<string, unknown>> => typeof row === "object" && row !== null;
  const columns = [...new Set(shown.flatMap((row) => (isRecord(row) ? Object.keys(row) : ["row"])))];
  const cell = (value: unknown): string => {
    const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "");
    const short = text.length > 300 ? `${text.slice(0, 299)}…` : text;
    return `<td style="text-align:left">${escapeHtml(short)}</td>`;
  };
  const body = shown.map((row, i) => {
    const cells = columns.map((column) => cell(isRecord(row) ? row[column] : row));
    return `<tr><th>${i}</th>${cells.join("")}</tr>`;
  });
  const head = columns.map((column) => `<th style="text-align:left">${escapeHtml(column)}</th>`);
  const more = rows.length > shown.length ? `, the first ${shown.length} of` : ",";
  return `<p><b>${escapeHtml(name)}</b>${more} ${rows.length} rows</p><table><thead><tr><th></th>${head.join("")}</tr></thead><tbody>${body.join("")}</tbody></table>`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

function show(row: unknown): string {
  const text = JSON.stringify(row) ?? String(row);
  return text.length > 160 ? `${text.slice(0, 159)}…` : text;
}
