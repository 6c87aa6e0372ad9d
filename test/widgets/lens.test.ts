import assert from "node:assert/strict";
import { test } from "node:test";
import { channels } from "../../widgets/channels.js";
import { clipFlags, isClipped, openLens, packLens } from "../../widgets/lens.js";
import { isLensChoices, lensOf, lensState } from "../../widgets/lensState.js";
import { summarize } from "../../widgets/summary.js";
import { escapeHtml, isOdd, quotedText, visibleText } from "../../widgets/tokenText.js";
import { workings } from "../../widgets/workings.js";
import { inventStages, reviews } from "../helpers/episodes.js";

const stages = inventStages();

test("a packed value holds every number of every token, without the padding, at 4 bytes each", () => {
  const { header, buffers } = packLens(stages.updated);
  const lens = openLens(header, buffers);
  const total = reviews.reduce((sum, { tokens }) => sum + tokens.length, 0);
  assert.equal(lens.pieces.length, total);
  assert.equal(buffers.channels.length, total * (7 + 2 * stages.updated.newLogprobs.length));
  const width = stages.rollout.responseIds.shape[1] ?? 0;
  reviews.forEach(({ tokens }, b) => {
    tokens.forEach((text, t) => {
      const i = (lens.offsets[b] ?? 0) + t;
      assert.equal(lens.textOf(i), text);
      assert.equal(lens.episodeOf(i), b);
      assert.equal(lens.column("kl")?.[i], stages.scored.kl.data[b * width + t]);
      assert.equal(lens.column("advantage")?.[i], stages.advantaged.advantages.data[b * width + t]);
      stages.updated.newLogprobs.forEach((logs, epoch) => {
        assert.equal(lens.column("newLogprob", epoch)?.[i], logs.data[b * width + t]);
      });
    });
  });
  assert.ok(
    lens.column("ratio", 0)?.every((r) => r === 1),
    "before the first step nothing has moved",
  );
});

test("each stage has the channels that it has computed and no others", () => {
  const there = (stage: keyof typeof stages) => {
    const { header, buffers } = packLens(stages[stage]);
    const lens = openLens(header, buffers);
    return channels.filter(({ key }) => lens.column(key)).length;
  };
  assert.deepEqual([there("rollout"), there("scored"), there("advantaged"), there("updated")], [1, 5, 7, 9]);
});

test("widget state comes back from DataViews at any offset, and a lost buffer is named", () => {
  const { header, buffers } = packLens(stages.advantaged);
  const state = lensState(header, buffers);
  const shifted = (view: unknown) => {
    if (!ArrayBuffer.isView(view)) return JSON.parse(JSON.stringify(view)) as unknown;
    const whole = new Uint8Array(view.byteLength + 3);
    whole.set(new Uint8Array(view.buffer as ArrayBuffer, view.byteOffset, view.byteLength), 3);
    return new DataView(whole.buffer, 3);
  };
  const lens = lensOf((key) => shifted(state[key]));
  assert.deepEqual(lens.column("return"), openLens(header, buffers).column("return"));
  assert.throws(() => lensOf((key) => (key === "channels" ? undefined : state[key])), /"channels"/);
  assert.throws(() => lensOf(() => undefined), /run its cell again/);
});

test("a choice that a view did not make is refused", () => {
  assert.ok(isLensChoices({ channel: "kl", sort: "score down", filter: "kl > 1", epoch: 2, pinned: 4 }));
  for (const bad of [
    null,
    3,
    { channel: "x" },
    { sort: 1 },
    { epoch: -1 },
    { filter: "x".repeat(2000) },
    { other: 1 },
  ]) {
    assert.equal(isLensChoices(bad), false, JSON.stringify(bad));
  }
});

test("the clip stops a token only where its advantage pushes it further out", () => {
  assert.equal(isClipped(1.3, 1, 0.2), true);
  assert.equal(isClipped(1.3, -1, 0.2), false);
  assert.equal(isClipped(0.7, -1, 0.2), true);
  assert.equal(isClipped(0.7, 1, 0.2), false);
  assert.equal(isClipped(1.1, 1, 0.2), false);
  const { header, buffers } = packLens(stages.updated);
  const lens = openLens(header, buffers);
  assert.equal(
    clipFlags(lens, 0)?.some((x) => x === 1),
    false,
  );
  assert.equal(
    clipFlags(lens, 3)?.some((x) => x === 1),
    true,
  );
});

test("the workings add up to the numbers shown, and are left out where whitened rewards would make them wrong", () => {
  const { header, buffers } = packLens(stages.advantaged);
  const lens = openLens(header, buffers);
  for (let i = 0; i < lens.pieces.length; i++) {
    assert.equal(workings(lens, i, "advantage").length, 3, `token ${i}`);
    assert.equal(workings(lens, i, "return").length, 3);
    assert.match(workings(lens, i, "kl")[0]?.name ?? "", /KL/);
  }
  const moved = {
    ...stages.advantaged,
    rewards: { ...stages.advantaged.rewards, data: stages.advantaged.rewards.data.map((x) => x * 3 + 1) },
  };
  const whitened = packLens(moved);
  assert.deepEqual(workings(openLens(whitened.header, whitened.buffers), 2, "advantage"), []);
});

test("headline numbers are finite for every stage", () => {
  for (const value of Object.values(stages)) {
    const { header, buffers } = packLens(value);
    for (const { name, value: text } of summarize(openLens(header, buffers)))
      assert.doesNotMatch(text, /NaN|undefined|∞/, name);
  }
});

test("an empty response and an episode without tokens do no harm", () => {
  const odd = inventStages([
    { prompt: "", tokens: [], score: 0 },
    { prompt: "x", tokens: ["<b>", "\n"], score: 1 },
  ]);
  for (const value of Object.values(odd)) {
    const { header, buffers } = packLens(value);
    const lens = openLens(header, buffers);
    assert.equal(lens.episodes, 2);
    assert.equal(lens.episodeOf(0), 1);
    summarize(lens);
  }
});

test("white space, control characters, bidi overrides and broken bytes become visible; markup is never markup", () => {
  assert.equal(visibleText(" great"), " great");
  assert.equal(visibleText("  "), "··");
  assert.equal(visibleText("a\n"), "a↵\n");
  assert.equal(visibleText("\t"), "⇥\t");
  assert.equal(visibleText("\u001b[31m"), "␛[31m");
  assert.equal(visibleText("a\u202eb"), "a⟨U+202E⟩b");
  assert.equal(visibleText("\ud83d"), "⟨U+D83D⟩");
  assert.equal(visibleText("😀"), "😀");
  assert.equal(visibleText("\u200b"), "⟨U+200B⟩");
  assert.equal(quotedText(" a b\n"), "␣a␣b↵");
  assert.ok(isOdd("\ufffd") && isOdd(" ") && isOdd("") && !isOdd(" a"));
  assert.equal(
    escapeHtml(`<img src=x onerror="alert(1)">'\``),
    "&#60;img src=x onerror=&#34;alert(1)&#34;&#62;&#39;&#96;",
  );
});
