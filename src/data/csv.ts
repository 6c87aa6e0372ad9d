/**
 * Reads comma-separated values (RFC 4180): quoted fields may hold commas, line breaks and doubled quotes.
 * The first record names the columns.
 * @throws Error naming the line, if a record has another number of fields or a quote is not closed
 */
export function parseCsv(text: string, what: string): Record<string, string>[] {
  const records = splitRecords(text, what);
  const header = records.shift()?.fields ?? [];
  return records.map(({ fields, line }) => {
    if (fields.length !== header.length) {
      throw new Error(
        `${what}, line ${line}: ${fields.length} fields where the header has ${header.length} (${header.join(", ")})`,
      );
    }
    return Object.fromEntries(header.map((column, i) => [column, fields[i] ?? ""]));
  });
}

interface CsvRecord {
  readonly fields: string[];
  readonly line: number;
}

function splitRecords(text: string, what: string): CsvRecord[] {
  const records: CsvRecord[] = [];
  const field = /(?:"((?:[^"]|"")*)"|([^,"\r\n]*))(,|\r?\n|$)/y;
  let fields: string[] = [];
  let line = 1;
  let start = 1;
  while (field.lastIndex < text.length) {
    const position = field.lastIndex;
    const match = field.exec(text);
    if (!match) throw new Error(`${what}, line ${line}: a quote that is not closed, or text next to a quoted field`);
    const [all, quoted, plain, end] = match;
    fields.push(quoted === undefined ? (plain ?? "") : quoted.replaceAll('""', '"'));
    line += all.split("\n").length - 1;
    if (end === ",") {
      if (position + all.length === text.length) fields.push("");
      else continue;
    }
    if (fields.length > 1 || fields[0] !== "") records.push({ fields, line: start });
    fields = [];
    start = line;
  }
  return records;
}
