import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { historyFolder, openHistory } from "../../kernel/protocol/history.js";

describe("history", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "history-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const plain = { output: false, raw: true } as const;
  const session = (...sources: string[]) => {
    const history = openHistory(folder);
    sources.forEach((source, index) => void history.input(index + 1, source));
    history.flush();
    return history;
  };

  test("tail gives the latest cells of all sessions, oldest first", () => {
    session("a", "b");
    const history = session("c");
    assert.deepEqual(history.query({ ...plain, access: "tail", n: 2 }), [
      [1, 2, "b"],
      [2, 1, "c"],
    ]);
    assert.equal(history.query({ ...plain, access: "tail", n: 100 }).length, 3);
  });

  test("a range is half open, of the present session, one before it, or one by number", () => {
    session("a", "b", "c");
    const history = session("d", "e");
    const range = (number: number, start: number, stop?: number) =>
      history.query({ ...plain, access: "range", session: number, start, stop });
    assert.deepEqual(range(0, 1, 2), [[0, 1, "d"]]);
    assert.deepEqual(range(-1, 2), [
      [1, 2, "b"],
      [1, 3, "c"],
    ]);
    assert.deepEqual(range(1, 1, 2), [[1, 1, "a"]]);
    assert.deepEqual(range(99, 1), []);
    assert.deepEqual(range(-5, 1), []);
    assert.deepEqual(range(0, -1), [[0, 2, "e"]], "negative lines count back");
    assert.deepEqual(range(0, 2, 0), [[0, 2, "e"]], "0 is no end");
    assert.deepEqual(range(1, -3, -1), [
      [1, 1, "a"],
      [1, 2, "b"],
    ]);
  });

  test("search takes shell patterns over the whole cell, the latest n, once each if unique", () => {
    session("const a = 1", "x.map(f)", "const b = 2");
    const history = session("const a = 1", "multi\nconst line");
    const search = (pattern: string, n = 10, unique = false) =>
      history.query({ ...plain, access: "search", pattern, n, unique }).map(([, , entry]) => entry);
    assert.deepEqual(search("const*"), ["const a = 1", "const b = 2", "const a = 1"]);
    assert.deepEqual(search("const*", 10, true), ["const b = 2", "const a = 1"]);
    assert.deepEqual(search("const*", 1), ["const a = 1"]);
    assert.deepEqual(search("const [b-z] = ?"), ["const b = 2"]);
    assert.deepEqual(search("const [!b] = ?", 1), ["const a = 1"]);
    assert.deepEqual(search("*line"), ["multi\nconst line"]);
    assert.deepEqual(search("x.map(f)"), ["x.map(f)"]);
    assert.deepEqual(search("xymap(f)"), []);
  });

  test("a long row of stars is no trap", () => {
    const history = session("a".repeat(20_000));
    assert.deepEqual(
      history.query({ ...plain, access: "search", pattern: `${"*a".repeat(12)}*b`, n: 1, unique: false }),
      [],
    );
  });

  test("outputs are kept beside inputs", () => {
    const first = session("1 + 1", "let x");
    first.output(1, "2");
    first.flush();
    const history = session();
    assert.deepEqual(
      history.query({ output: true, raw: true, access: "range", session: -1, start: 1, stop: undefined }),
      [
        [1, 1, ["1 + 1", "2"]],
        [1, 2, ["let x", null]],
      ],
    );
  });

  test("kernels side by side have sessions of their own, and a torn line harms nothing", () => {
    const [one, two] = [session("mine"), session("yours")];
    one.input(2, "mine too");
    one.flush();
    const torn = readdirSync(folder).sort()[0] ?? "";
    appendFileSync(join(folder, torn), '{"line":3,"inp');
    writeFileSync(join(folder, "stranger.txt"), "");
    assert.deepEqual(
      two.query({ ...plain, access: "tail", n: 10 }).map(([number, , entry]) => [number, entry]),
      [
        [1, "mine"],
        [1, "mine too"],
        [2, "yours"],
      ],
    );
  });

  test("files are private, and off means off", {
    skip: process.platform === "win32" && "no file modes on Windows",
  }, () => {
    session("secret");
    const [file = ""] = readdirSync(folder);
    assert.equal(statSync(join(folder, file)).mode & 0o077, 0);
    assert.equal(historyFolder({ POLICYSCOPE_HISTORY: "off" }), undefined);
    const history = openHistory(undefined);
    history.input(1, "kept in memory");
    assert.equal(history.query({ ...plain, access: "tail", n: 9 }).length, 1);
  });

  test("a folder that cannot be made costs a warning, not the cell", () => {
    writeFileSync(join(folder, "file"), "");
    const warnings: string[] = [];
    const history = openHistory(join(folder, "file", "below"), (text) => warnings.push(text));
    history.input(1, "a");
    assert.equal(warnings.length, 1);
    if (process.platform === "linux") {
      openHistory("/proc/none/below", (text) => warnings.push(text)).input(1, "a");
      assert.match(String(warnings[1]), /no history is kept in \/proc\/none\/below/);
    }
    assert.deepEqual(history.query({ ...plain, access: "tail", n: 1 }), [[1, 1, "a"]]);
  });
});
