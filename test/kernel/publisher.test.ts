import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Pace, Publisher, paceOf } from "../../kernel/protocol/publisher.js";
import type { Header } from "../../kernel/wire/messages.js";

const header = (msg_id: string): Header => ({
  msg_id,
  msg_type: "execute_request",
  session: "s",
  username: "u",
  date: "2026-01-01T00:00:00Z",
  version: "5.5",
});

/** A publisher, and what left it: when, for whom, which text or type. */
function publisher(pace?: Pace) {
  const began = performance.now();
  const states: string[] = [];
  const left: { at: number; of: string; text: string }[] = [];
  const it = new Publisher((_, { type, content, parent }) => {
    const { text = type, execution_state: state } = content as { text?: string; execution_state?: string };
    states.push(`${state} ${parent?.msg_id ?? "-"}`);
    left.push({ at: performance.now() - began, of: parent?.msg_id ?? "", text });
  }, pace);
  return { it, left, states };
}

describe("what the kernel broadcasts", () => {
  test("a Jupyter server's kernel keeps its pace: no text is lost, and its idle comes after it", async () => {
    const pace = { bytes: 25_000, window: 150 };
    const { it, left } = publisher(pace);
    const [a, b] = [header("a"), header("b")];
    for (let i = 0; i < 8; i++) {
      it.stream("stdout", `${i}`.repeat(9_000), a);
      it.flush();
    }
    it.status("idle", a);
    it.status("busy", b);
    it.status("idle", b);
    while (!left.some(({ of, text }) => of === "a" && text === "status")) await sleep(20);
    const texts = left.filter(({ text }) => text !== "status");
    const expected = Array.from("01234567", (digit) => digit.repeat(9_000)).join("");
    assert.equal(texts.map(({ text }) => text).join(""), expected, "whole, in order");
    for (const { at } of texts) {
      const within = texts.filter((other) => other.at >= at && other.at < at + pace.window - 5);
      assert.ok(
        within.length === 1 || within.reduce((sum, { text }) => sum + text.length, 0) <= pace.bytes,
        "within the window",
      );
    }
    assert.deepEqual(left.at(-1), { ...left.at(-1), of: "a", text: "status" });
    const other = left.filter(({ of }) => of === "b");
    assert.ok(other.length === 2 && other.every(({ at }) => at < 100), "other requests do not wait");
  });

  test("the end waits for no pace", () => {
    const { it, left } = publisher({ bytes: 10, window: 10_000 });
    it.stream("stdout", "first", header("a"));
    it.flush();
    it.stream("stdout", "last", header("a"));
    it.status("idle", header("a"));
    assert.equal(left.length, 1);
    it.drain();
    assert.deepEqual(
      left.map(({ text }) => text),
      ["first", "last", "status"],
    );
  });

  test("a flood leaves in few messages", async () => {
    const { it, left } = publisher();
    const parent = header("a");
    for (let i = 0; i < 30; i++) {
      it.stream("stdout", "x".repeat(40_000), parent);
      await sleep(4);
    }
    it.status("idle", parent);
    const texts = left.filter(({ text }) => text !== "status");
    assert.equal(
      texts.reduce((sum, { text }) => sum + text.length, 0),
      1_200_000,
    );
    assert.ok(texts.length <= 8, `${texts.length} messages`);
  });

  test("a Jupyter server is told that a cell still runs, when another request ends and when somebody comes", () => {
    const { it, states } = publisher({ bytes: 1_000_000, window: 10 });
    it.status("starting", undefined);
    it.restate();
    const [cell, other] = [header("cell"), { ...header("other"), msg_type: "complete_request" }];
    it.status("busy", cell);
    it.restate();
    it.status("busy", other);
    it.status("idle", other);
    it.status("idle", cell);
    it.restate();
    const started = ["starting -", "idle -"];
    const whileItRuns = ["busy cell", "busy cell", "busy other", "idle other", "busy cell"];
    assert.deepEqual(states, [...started, ...whileItRuns, "idle cell", "idle -"]);
    const alone = publisher();
    alone.it.status("busy", cell);
    alone.it.status("idle", other);
    alone.it.restate();
    assert.deepEqual(alone.states, ["busy cell", "idle other"], "others hear what the protocol says, and no more");
  });

  test("only kernels of a server's notebooks keep a pace", () => {
    assert.equal(paceOf({}), undefined);
    assert.ok(paceOf({ JPY_SESSION_NAME: "a.ipynb" }));
  });
});
