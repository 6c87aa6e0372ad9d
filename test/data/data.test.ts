import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { inspect } from "node:util";
import { parseCsv } from "../../src/data/csv.js";
import { dataset } from "../../src/data/dataset.js";
import { loadDataset, snippetOpenings } from "../../src/data/loadDataset.js";

const folder = mkdtempSync(join(tmpdir(), "policyscope-data-"));
after(() => rmSync(folder, { recursive: true }));
const file = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

test("a dataset is an immutable list with slices and seeded shuffles", () => {
  const numbers = dataset("numbers", [0, 1, 2, 3, 4, 5, 6, 7]);
  assert.equal(numbers.length, 8);
  assert.equal(numbers.at(-1), 7);
  assert.throws(() => numbers.at(8), /numbers has 8 rows; there is no row 8/);
  const head = numbers.slice(undefined, 3);
  assert.equal(head.name, "numbers[:3]");
  assert.deepEqual([...head], [0, 1, 2]);
  assert.deepEqual([...numbers.slice(-2)], [6, 7]);
  const shuffled = numbers.shuffle(3);
  assert.deepEqual([...shuffled], [...numbers.shuffle(3)]);
  assert.notDeepEqual([...shuffled], [...numbers.shuffle(4)]);
  assert.deepEqual([...shuffled].sort(), [...numbers]);
  assert.deepEqual([...numbers.map((n) => n * 2)].slice(0, 2), [0, 2]);
  assert.match(inspect(numbers), /Dataset numbers, 8 rows\n {2}0\n[\s\S]*\.\.\. 3 more/);
});

test("a dataset shows itself in a notebook as a table, and never as markup of its rows", () => {
  const rows = dataset("rows", [{ text: "<b>bold</b>", rating: 1 }]);
  const display = Reflect.get(rows, Symbol.for("Jupyter.display")) as () => Record<string, string>;
  const bundle = display();
  assert.match(bundle["text/plain"] ?? "", /Dataset rows, 1 rows/);
  assert.match(bundle["text/html"] ?? "", /<th[^>]*>rating<\/th>/);
  assert.doesNotMatch(bundle["text/html"] ?? "", /<b>bold/);
});

test("files are read as their extension says", async () => {
  assert.deepEqual([...(await loadDataset(file("a.jsonl", '{"a":1}\n\n{"a":2}\n')))], [{ a: 1 }, { a: 2 }]);
  assert.deepEqual([...(await loadDataset(file("a.json", '[{"a":1}]')))], [{ a: 1 }]);
  assert.deepEqual([...(await loadDataset(file("a.csv", 'p,q\r\n"x, ""y""\nz",2\n')))], [{ p: 'x, "y"\nz', q: "2" }]);
  const text = file("a.txt", "\uFEFFone\ntwo\n\nthree\n");
  assert.deepEqual([...(await loadDataset(text))], ["one", "two", "three"]);
  assert.deepEqual([...(await loadDataset(`${text}[1:]`))], ["two", "three"]);
});

test("what is wrong with a file is said, with the line", async () => {
  await assert.rejects(loadDataset(file("bad.jsonl", '{"a":1}\n{"a":')), /bad\.jsonl, line 2: not JSON/);
  await assert.rejects(loadDataset(file("bad.json", "{}")), /expected a JSON array of rows, found object/);
  await assert.rejects(
    loadDataset(file("bad.csv", "p,q\n1,2\n1\n")),
    /bad\.csv, line 3: 1 fields where the header has 2/,
  );
  await assert.rejects(loadDataset(join(folder, "none.txt")), /is not there/);
  await assert.rejects(loadDataset("movie-reviews"), /no dataset "movie-reviews".*movie-snippets\/prompts/);
});

test("csv keeps empty fields and refuses an open quote", () => {
  assert.deepEqual(parseCsv("a,b\n1,\n,2", "x"), [
    { a: "1", b: "" },
    { a: "", b: "2" },
  ]);
  assert.throws(() => parseCsv('a\n"1', "x"), /x, line 2: a quote/);
});

test("movie-snippets names its remedy where it was not pulled, and asks before it pulls", async () => {
  await assert.rejects(loadDataset("movie-snippets/prompts", { cache: folder }), /policyscope pull movie-snippets/);
  const asked: string[] = [];
  const ask = ({ name }: { name: string }): boolean => {
    asked.push(name);
    return false;
  };
  await assert.rejects(loadDataset("movie-snippets", { cache: folder, pull: ask }), /not on this machine yet/);
  assert.deepEqual(asked, ["movie-snippets"]);
});

test("movie-snippets are read from the cache", async () => {
  const path = join(folder, "datasets", "movie-snippets");
  mkdirSync(path, { recursive: true });
  const rows = "1\t2.25\tA fine film about a long walk in the snow, with good company.\r\n2\t-0.6\tToo tepid\r\n";
  // The cache takes a file for whole when it has the size that the original has.
  writeFileSync(join(path, "movieReviewSnippets_GroundTruth.txt"), rows + " ".repeat(1_383_098 - rows.length));
  const snippets = await loadDataset("movie-snippets", { cache: folder });
  assert.equal(snippets.length, 2);
  assert.deepEqual(snippets.at(1), { id: "2", text: "Too tepid", rating: -0.6 });
  assert.deepEqual([...(await loadDataset("movie-snippets/prompts", { cache: folder }))], ["A fine film about"]);
});

test("openings are the first words of snippets that have twice as many", () => {
  assert.deepEqual(
    snippetOpenings([
      "It starts slowly, but then it gets better and better.",
      "Too short to be used.",
      "One two three four five six, seven eight nine ten eleven twelve.",
      "It starts slowly, but that is no bad thing at all in the end, really.",
    ]),
    ["It starts slowly, but", "One two three four five six", "It starts slowly, but that is no"],
  );
});
