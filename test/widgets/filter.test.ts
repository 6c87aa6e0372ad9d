import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FilterError, parseFilter } from "../../widgets/filter.js";
import { clipFlags, type Lens, openLens, packLens } from "../../widgets/lens.js";
import { inventStages, reviews } from "../helpers/episodes.js";

const stages = inventStages();
const lensOf = (stage: keyof typeof stages): Lens => {
  const { header, buffers } = packLens(stages[stage]);
  return openLens(header, buffers);
};
const lens = lensOf("updated");
const all = [...lens.pieces.keys()];
const found = (source: string, over = lens) => {
  const filter = parseFilter(source, over);
  return all.filter(filter);
};
const column = (key: Parameters<Lens["column"]>[0]) => {
  const values = lens.column(key);
  assert.ok(values);
  return (token: number) => values[token] ?? Number.NaN;
};

test("the mock's filter finds what a plain loop finds", () => {
  const [kl, advantage] = [column("kl"), column("advantage")];
  const expected = all.filter((i) => kl(i) > 0.5 && advantage(i) < 0);
  assert.ok(expected.length > 0);
  assert.deepEqual(found("kl > 0.5 and advantage < 0"), expected);
  assert.deepEqual(found("KL>.5 && adv<0"), expected);
});

test("and binds tighter than or, not tighter than and; parentheses and arithmetic work", () => {
  const [kl, value, ratio] = [column("kl"), column("value"), column("ratio")];
  assert.deepEqual(
    found("kl > 1 or value > 0 and kl < 0"),
    all.filter((i) => kl(i) > 1 || (value(i) > 0 && kl(i) < 0)),
  );
  assert.deepEqual(
    found("(kl > 1 or value > 0) and kl < 0"),
    all.filter((i) => (kl(i) > 1 || value(i) > 0) && kl(i) < 0),
  );
  assert.deepEqual(
    found("not kl > 0 and value > 0"),
    all.filter((i) => !(kl(i) > 0) && value(i) > 0),
  );
  assert.deepEqual(
    found("abs(ratio - 1) * 2 > 0.1"),
    all.filter((i) => Math.abs(ratio(i) - 1) * 2 > 0.1),
  );
  assert.deepEqual(
    found("-kl > 0"),
    all.filter((i) => -kl(i) > 0),
  );
  assert.deepEqual(found("1 + 2 * 3 = 7"), all);
  assert.deepEqual(found("2 - 1 - 1 = 0"), all);
});

test("texts, ends, clips, positions and sums over an episode can be asked for", () => {
  const clipped = clipFlags(lens, 0);
  assert.deepEqual(found('text = " great"').length, 5);
  assert.deepEqual(found('text ~ "GREAT" and position > 8').length, 3);
  assert.deepEqual(found('prompt ~ "director"').length, reviews[3]?.tokens.length);
  assert.deepEqual(found("eos").length + found("cut").length, all.length);
  assert.deepEqual(
    found("clipped"),
    all.filter((i) => clipped?.[i]),
  );
  assert.deepEqual(found("last").length, reviews.length);
  assert.deepEqual(found("episode = 2 and position = 3").length, 1);
  const greats = lens.offsets[4] ?? 0;
  assert.ok(found("sum(kl) > 3").every((i) => i >= greats && i < (lens.offsets[5] ?? 0)));
  assert.deepEqual(found("score < -0.7 and max(kl) > -10").length, reviews[1]?.tokens.length);
});

test("what cannot be understood is named, placed, and answered with a remedy", () => {
  const cases: [string, RegExp, number][] = [
    ["advantge < 0", /there is no "advantge": did you mean "advantage"/, 0],
    ["kl > 0.5 and", /ends too early/, 12],
    ["kl", /"kl" is a number, not a condition/, 0],
    ["kl > ", /ends too early/, 5],
    ["(kl > 1", /never closed/, 0],
    ["kl > 1)", /"\)" was not expected here/, 6],
    ["kl > 1 kl < 2", /join conditions with "and" or "or"/, 7],
    ["0 < kl < 1", /cannot be chained/, 7],
    ['text > "a"', /compared with =, != and ~/, 5],
    ['kl ~ "a"', /asks whether a text contains/, 3],
    ['kl = "a"', /a number cannot be compared with a text/, 3],
    ['text = "a', /never closed/, 7],
    ["kl > 1 and value", /a condition was expected, not a number/, 11],
    ["eos > 1", /a boolean cannot be compared/, 4],
    ["median(kl) > 1", /there is no function "median"/, 0],
    ["kl ? 1", /"\?" has no meaning/, 3],
    ["  ", /empty/, 0],
  ];
  for (const [source, message, at] of cases) {
    assert.throws(
      () => parseFilter(source, lens),
      (error: unknown) => {
        assert.ok(error instanceof FilterError, source);
        assert.match(error.message, message, source);
        assert.equal(error.at, at, source);
        return true;
      },
    );
  }
});

test("a channel that the stage does not have yet says when it comes", () => {
  assert.throws(
    () => parseFilter("advantage > 0", lensOf("scored")),
    /advantage is not there yet: it comes with advantage\(\)/,
  );
  assert.throws(() => parseFilter("score > 0", lensOf("rollout")), /score is not there yet/);
  assert.throws(() => parseFilter("clipped", lensOf("advantaged")), /comes with update\(\)/);
});

test("no text makes the parser do anything but answer or throw a FilterError; nothing is evaluated", () => {
  const words = [
    "kl",
    "and",
    "or",
    "not",
    "(",
    ")",
    "<",
    ">",
    "=",
    "1",
    ".5",
    '"a"',
    "abs",
    "-",
    "text",
    "~",
    "constructor",
    "__proto__",
    "process.exit()",
  ];
  const sources = fc.oneof(
    fc.string({ maxLength: 40 }),
    fc.array(fc.constantFrom(...words), { maxLength: 12 }).map((list) => list.join(" ")),
  );
  fc.assert(
    fc.property(sources, (source) => {
      try {
        const filter = parseFilter(source, lens);
        assert.equal(typeof filter(0), "boolean");
      } catch (error) {
        assert.ok(error instanceof FilterError, String(error));
        assert.ok(error.at >= 0 && error.at <= source.length);
      }
    }),
    { numRuns: 500 },
  );
  assert.throws(() => parseFilter("(".repeat(900), lens), FilterError);
  assert.throws(() => parseFilter("(".repeat(90_000), lens), FilterError);
});
