import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { readSafetensors, readSafetensorsHeader, writeSafetensors } from "../../src/models/safetensors.js";
import { float32 } from "../../src/tensor.js";
import { damaged } from "../helpers/damage.js";

const folder = mkdtempSync(join(tmpdir(), "policyscope-safetensors-"));
after(() => rmSync(folder, { recursive: true }));
const file = join(folder, "x.safetensors");

/** A file with this header over these data bytes. */
function made(header: unknown, data: Uint8Array = new Uint8Array(0), declaredLength?: number): string {
  const json = Buffer.from(typeof header === "string" ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(declaredLength ?? json.length));
  writeFileSync(file, Buffer.concat([length, json, data]));
  return file;
}

test("what is written is read back, names, shapes and bits", async () => {
  const params = new Map([
    ["b.weight", float32([2, 3], [1, -0, Number.NaN, Number.POSITIVE_INFINITY, 1e-45, 3])],
    ["a", float32([], [7])],
    ["empty", float32([0, 4], [])],
  ]);
  await writeSafetensors(file, params, { metadata: { format: "pt", who: "test" } });
  const back = await readSafetensors(file);
  assert.deepEqual([...back], [...params]);
  const { metadata, shapes } = await readSafetensorsHeader(file);
  assert.equal(metadata.who, "test");
  assert.deepEqual([...shapes.keys()], ["b.weight", "a", "empty"]);
  assert.deepEqual([...(await readSafetensors(file, { wanted: (name) => name === "a" })).keys()], ["a"]);
});

test("half precision and bfloat16 become float32", async () => {
  const halves = new Uint8Array(Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7bff, 0x7c00, 0x8000).buffer);
  made({ x: { dtype: "F16", shape: [6], data_offsets: [0, 12] } }, halves);
  const f16 = (await readSafetensors(file)).get("x")?.data;
  assert.deepEqual(f16, Float32Array.of(1, -2, 2 ** -24, 65504, Number.POSITIVE_INFINITY, -0));
  const brains = new Uint8Array(Uint16Array.of(0x3f80, 0xc040, 0x7f80).buffer);
  made({ x: { dtype: "BF16", shape: [3], data_offsets: [0, 6] } }, brains);
  const bf16 = (await readSafetensors(file)).get("x")?.data;
  assert.deepEqual(bf16, Float32Array.of(1, -3, Number.POSITIVE_INFINITY));
});

function empty(): string {
  writeFileSync(file, "");
  return file;
}

const entry = (over: object) => ({ x: { dtype: "F32", shape: [2], data_offsets: [0, 8], ...over } });
const bad: readonly [what: string, make: () => string, message: RegExp][] = [
  ["an empty file", () => empty(), /0 bytes are too few/],
  ["a header longer than the file", () => made("{}", new Uint8Array(0), 1e9), /header says it is 1000000000 bytes/],
  ["a header that is not JSON", () => made("{oops"), /header is not JSON/],
  ["a header that is a list", () => made([]), /not a JSON object/],
  [
    "another element type",
    () => made(entry({ dtype: "I64", data_offsets: [0, 16] }), new Uint8Array(16)),
    /tensor "x" has type I64.*Convert/,
  ],
  ["data that ends too early", () => made(entry({}), new Uint8Array(4)), /tensor "x" lies at bytes 0 to 8 of the 4/],
  ["offsets in the wrong order", () => made(entry({ data_offsets: [8, 0] }), new Uint8Array(8)), /tensor "x"/],
  [
    "a shape that does not fit",
    () => made(entry({ shape: [3] }), new Uint8Array(8)),
    /shape \[3\] does not take the 8 bytes/,
  ],
  ["a negative size", () => made(entry({ shape: [-2] }), new Uint8Array(8)), /tensor "x": shape/],
  ["no offsets", () => made({ x: { dtype: "F32", shape: [2] } }, new Uint8Array(8)), /tensor "x": data_offsets/],
  [
    "tensors that overlap",
    () => made({ ...entry({}), y: { dtype: "F32", shape: [2], data_offsets: [4, 12] } }, new Uint8Array(12)),
    /"x" and "y" overlap/,
  ],
];
for (const [what, make, message] of bad) {
  test(`${what} is refused, naming the file and the remedy`, async () => {
    const path = make();
    await assert.rejects(readSafetensors(path), (error: Error) => {
      assert.match(error.message, message);
      assert.ok(error.message.startsWith(path), error.message);
      assert.match(error.message, /fetch it again|Convert the model/);
      return true;
    });
  });
}

test("damaged files give an error or tensors, nothing else", async () => {
  await writeSafetensors(file, new Map(["q", "k", "v"].map((name) => [name, float32([4, 8], new Float32Array(32))])));
  const whole = readFileSync(file);
  for (let seed = 0; seed < 300; seed++) {
    writeFileSync(file, damaged(whole, seed));
    try {
      for (const value of (await readSafetensors(file)).values()) assert.ok(value.data instanceof Float32Array);
    } catch (error) {
      assert.ok(error instanceof Error && error.message.startsWith(file), `seed ${seed}: ${error}`);
    }
  }
});
