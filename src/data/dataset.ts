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
  });
}

function describe(name: string, rows: readonly unknown[]): string {
  const shown = rows.slice(0, 5).map((row) => `  ${typeof row === "string" ? JSON.stringify(row) : show(row)}`);
  if (rows.length > shown.length) shown.push(`  ... ${rows.length - shown.length} more`);
  return `Dataset ${name}, ${rows.length} rows\n${shown.join("\n")}`;
}

function show(row: unknown): string {
  const text = JSON.stringify(row) ?? String(row);
  return text.length > 160 ? `${text.slice(0, 159)}…` : text;
}
