import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** The folder of golden numbers: `GOLDEN_DIR`, or the project's own copy (tests run in the root of the repository). */
export function goldenDir(): string {
  return process.env.GOLDEN_DIR ?? join("test", "golden");
}

/** One golden file: what was run, on what, what came out, and how far float32 may honestly be from it. */
export interface Golden<Inputs, Expected, Config = Record<string, unknown>> {
  readonly source: Readonly<Record<string, string>>;
  readonly config: Config;
  readonly inputs: Inputs;
  readonly expected: Expected;
  readonly tolerance: Readonly<Record<string, number | boolean | string>>;
  readonly notes: string;
}

const nonFinite = new Map([
  ["NaN", Number.NaN],
  ["Infinity", Number.POSITIVE_INFINITY],
  ["-Infinity", Number.NEGATIVE_INFINITY],
]);

/** Reads a JSON file below {@link goldenDir}; the strings "NaN", "Infinity" and "-Infinity" become numbers. */
export function readGolden<Inputs = unknown, Expected = unknown, Config = Record<string, unknown>>(
  relativePath: string,
): Golden<Inputs, Expected, Config> {
  return JSON.parse(readFileSync(join(goldenDir(), relativePath), "utf8"), (_key, value) =>
    typeof value === "string" ? (nonFinite.get(value) ?? value) : value,
  );
}

/** Names of the JSON files of one family, without extension, sorted; none when the folder is not there. */
export function goldenCases(family: string): string[] {
  const folder = join(goldenDir(), family);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((file) => file.endsWith(".json"))
    .map((file) => file.slice(0, -".json".length))
    .sort();
}

/** A number, or arrays of numbers nested to any depth, as golden files hold them. */
export type Nested = number | readonly Nested[];

/** All numbers of a nested array, row-major. */
export function flat(nested: Nested): number[] {
  return typeof nested === "number" ? [nested] : nested.flatMap(flat);
}

/** The shape of a regular nested array. */
export function shapeOf(nested: Nested): number[] {
  if (typeof nested === "number") return [];
  const first = nested[0];
  return [nested.length, ...(first === undefined ? [] : shapeOf(first))];
}

/** How far a number may be off: `|x - y| <= abs + rel |y|`. Non-finite numbers must be equal. */
export interface Tolerance {
  readonly abs?: number;
  readonly rel?: number;
}

/** Fails, naming the worst element, unless every number is close to the expected one. */
export function closeTo(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: Tolerance,
  what: string,
): void {
  assert.equal(actual.length, expected.length, `${what}: number of elements`);
  const { abs = 0, rel = 0 } = tolerance;
  let worst = 1;
  let at = -1;
  for (let i = 0; i < expected.length; i++) {
    const x = actual[i] ?? Number.NaN;
    const y = expected[i] ?? Number.NaN;
    if (Object.is(x, y) || x === y) continue;
    const excess = Math.abs(x - y) / (abs + rel * Math.abs(y));
    if (excess <= worst) continue;
    worst = excess;
    at = i;
    if (Number.isNaN(excess)) break;
  }
  if (at >= 0) {
    assert.fail(
      `${what}: element ${at} is ${actual[at]}, expected ${expected[at]}: ${worst.toPrecision(3)} times the tolerance (abs ${abs}, rel ${rel})`,
    );
  }
}

/** {@link closeTo} for one number. */
export function closeToNumber(actual: number, expected: number, tolerance: Tolerance, what: string): void {
  closeTo([actual], [expected], tolerance, what);
}

/** `grads_rel_to_tensor_max`: max |x - y| over one tensor is at most `tolerance` times max |y|. */
export function closeToTensorMax(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  what: string,
): void {
  let max = 0;
  for (let i = 0; i < expected.length; i++) max = Math.max(max, Math.abs(expected[i] ?? 0));
  closeTo(actual, expected, { abs: tolerance * max }, what);
}

/** `weights_rel_l2_of_update`: `||(x - init) - (y - init)|| <= tolerance ||y - init||` over one tensor. */
export function closeToUpdate(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  initial: ArrayLike<number>,
  tolerance: number,
  what: string,
): void {
  assert.equal(actual.length, expected.length, `${what}: number of elements`);
  assert.equal(initial.length, expected.length, `${what}: number of initial elements`);
  let difference = 0;
  let update = 0;
  for (let i = 0; i < expected.length; i++) {
    const y = expected[i] ?? Number.NaN;
    difference += ((actual[i] ?? Number.NaN) - y) ** 2;
    update += (y - (initial[i] ?? Number.NaN)) ** 2;
  }
  const off = Math.sqrt(difference);
  const allowed = tolerance * Math.sqrt(update);
  assert.ok(off <= allowed, `${what}: the update is off by ${off.toPrecision(4)}, allowed ${allowed.toPrecision(4)}`);
}
