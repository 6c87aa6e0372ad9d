import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { rawFiles } from "../../src/state/rawFile.js";
import { type SpillFormat, type TensorGroups, Timeline } from "../../src/state/timeline.js";
import { float32, type Tensor } from "../../src/tensor.js";

interface Small {
  step: number;
  readonly losses: number[];
}

const groups = (value: number, length = 4): TensorGroups => ({
  policy: new Map([["w", float32([length], new Float32Array(length).fill(value))]]),
});
const weight = (tensors: TensorGroups): number => tensors.policy?.get("w")?.data[0] ?? Number.NaN;
const commit = (timeline: Timeline<Small>, step: number): void => {
  timeline.commit((draft) => {
    draft.step = step;
    draft.losses.push(step * 10);
  }, groups(step));
};

/** Files in memory, instead of on a disk. */
function memoryFiles(): SpillFormat & { readonly files: Map<string, ReadonlyMap<string, Tensor<"float32">>> } {
  const files = new Map<string, ReadonlyMap<string, Tensor<"float32">>>();
  return {
    files,
    write: async (file, tensors) => {
      files.set(file, new Map([...tensors].map(([name, t]) => [name, float32(t.shape, t.data.slice())])));
    },
    read: async (file) => files.get(file) ?? new Map(),
  };
}

test("undo and goto move through states; small data follows by patches", async () => {
  const timeline = new Timeline<Small>({ step: 0, losses: [] }, groups(0));
  for (const step of [1, 2, 3]) commit(timeline, step);
  assert.deepEqual(timeline.current.small, { step: 3, losses: [10, 20, 30] });
  const back = await timeline.goto(1);
  assert.deepEqual(back.small, { step: 1, losses: [10] });
  assert.equal(weight(back.tensors), 1);
  assert.deepEqual((await timeline.goto(3)).small, { step: 3, losses: [10, 20, 30] });
  assert.deepEqual(
    timeline.states.map(({ step }) => step),
    [0, 1, 2, 3],
  );
  await assert.rejects(timeline.goto(9), /there is no state 9; there are states 0 to 3/);
});

test("a commit after going back replaces what came after", async () => {
  const timeline = new Timeline<Small>({ step: 0, losses: [] }, groups(0));
  for (const step of [1, 2, 3]) commit(timeline, step);
  await timeline.goto(1);
  commit(timeline, 7);
  assert.deepEqual(
    timeline.states.map(({ step }) => step),
    [0, 1, 7],
  );
});

test("a recipe that throws changes nothing", () => {
  const timeline = new Timeline<Small>({ step: 0, losses: [] }, groups(0));
  assert.throws(() =>
    timeline.commit((draft) => {
      draft.step = 5;
      throw new Error("no");
    }, groups(5)),
  );
  assert.deepEqual([timeline.current.small.step, weight(timeline.current.tensors), timeline.position], [0, 0, 0]);
});

test("beyond the memory budget states go to disk, beyond the disk budget they are dropped, oldest first", async () => {
  const format = memoryFiles();
  const timeline = new Timeline<Small>({ step: 0, losses: [] }, groups(0), { memoryBytes: 16, diskBytes: 256, format });
  for (let step = 1; step < 20; step++) {
    commit(timeline, step);
    await timeline.trim();
  }
  const held = Array.from({ length: 20 }, (_, i) => (i < 2 ? "dropped" : i < 18 ? "disk" : "memory"));
  assert.deepEqual(timeline.held, held);
  assert.equal(weight((await timeline.goto(2)).tensors), 2);
  await assert.rejects(timeline.goto(0), /state 0 are no longer kept .*larger history/);
  assert.equal(timeline.current.small.step, 2, "a move that fails moves nothing");
  await timeline.dispose();
});

test("memory of dropped states is used again, unless somebody holds it", async () => {
  const timeline = new Timeline<Small>({ step: 0, losses: [] }, groups(0), { memoryBytes: 0, diskBytes: 0 });
  commit(timeline, 1);
  const first = timeline.current.tensors.policy?.get("w")?.data;
  await timeline.trim();
  assert.equal(timeline.pool.bytes, 0, "the first state's tensors came from outside");
  commit(timeline, 2);
  timeline.escape(timeline.current.tensors);
  await timeline.trim();
  assert.equal(timeline.pool.take(4), first);
  commit(timeline, 3);
  await timeline.trim();
  assert.equal(timeline.pool.bytes, 0, "state 2 was handed out");
});

test("a state too large to be held twice is lent: written to disk, and back whatever happens to its memory", async () => {
  const timeline = new Timeline<Small>({ step: 0, losses: [] }, groups(0), { memoryBytes: 8, format: rawFiles() });
  commit(timeline, 1);
  const { data } = timeline.current.tensors.policy?.get("w") ?? { data: new Float32Array() };
  assert.deepEqual(await timeline.lend(), new Set([data]));
  data.fill(99);
  assert.throws(() => timeline.current, /on disk while an update works/);
  assert.equal(weight((await timeline.load()).tensors), 1);
  const lent = await timeline.lend();
  assert.equal(lent?.size, 1);
  commit(timeline, 2);
  assert.equal(weight((await timeline.goto(1)).tensors), 1, "what was lent can be gone back to");
  const small = new Timeline<Small>({ step: 0, losses: [] }, groups(0));
  assert.equal(await small.lend(), undefined);
  await timeline.dispose();
});

test("what is lent begins to be written when the work begins, and can be read until then", async () => {
  const timeline = new Timeline<Small>({ step: 0, losses: [] }, groups(0), { memoryBytes: 8, format: rawFiles() });
  timeline.prepareToLend()();
  assert.equal(await timeline.lend(), undefined, "what came from outside is nobody's to write over");
  assert.deepEqual(timeline.held, ["memory"]);
  commit(timeline, 1);
  const over = timeline.prepareToLend();
  const { data } = timeline.current.tensors.policy?.get("w") ?? { data: new Float32Array() };
  const second = timeline.prepareToLend();
  assert.equal(await timeline.lend(), undefined, "two work on the same tensors");
  second();
  assert.deepEqual(await timeline.lend(), new Set([data]));
  data.fill(99);
  over();
  timeline.pool.give(data);
  assert.equal((await timeline.load()).tensors.policy?.get("w")?.data, data, "read back into memory that is free");
  assert.equal(weight(timeline.current.tensors), 1);
  timeline.prepareToLend();
  commit(timeline, 2);
  await timeline.goto(0);
  timeline.prepareToLend();
  commit(timeline, 5);
  await timeline.dispose();
  await assert.rejects(timeline.goto(9), /no state 9/);
});

test("files of more than one chunk come back as they were, whatever their length", async () => {
  const files = rawFiles();
  const folder = await mkdtemp(join(tmpdir(), "policyscope-test-"));
  try {
    const lengths = [5, 0, 4 * 2 ** 20, 4 * 2 ** 20 + 3, 1000];
    const tensors = new Map(
      lengths.map((length, i) => [
        `t${i}`,
        float32(
          [length],
          Float32Array.from({ length }, (_, j) => i + j * 0.5),
        ),
      ]),
    );
    await files.write(join(folder, "a"), tensors);
    assert.deepEqual(await files.read(join(folder, "a")), tensors);
    await files.write(join(folder, "none"), new Map());
    assert.equal((await files.read(join(folder, "none"))).size, 0);
    await assert.rejects(files.write(join(folder, "missing", "a"), tensors), /ENOENT/);
  } finally {
    await rm(folder, { recursive: true });
  }
});
