import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { type Broadcast, type CellRunner, executeNotebook } from "../../app/run/execute.js";
import { notebookToHtml } from "../../app/run/html.js";
import { type Notebook, parseParameter, readNotebook, withParameters, writeNotebook } from "../../app/run/notebook.js";

const folder = mkdtempSync(join(tmpdir(), "policyscope-notebook-"));
after(() => rmSync(folder, { recursive: true }));

const code = (source: string, tags: string[] = []): Notebook["cells"][number] => ({
  cell_type: "code",
  metadata: { tags },
  source,
  outputs: [],
  execution_count: null,
});
const book = (...cells: Notebook["cells"]): Notebook => ({ nbformat: 4, nbformat_minor: 5, metadata: {}, cells });

/** A kernel that says what the test wrote down for each cell. */
function scripted(script: Record<string, readonly [string, Record<string, unknown>, Uint8Array[]?][]>): CellRunner {
  let count = 0;
  return {
    kernelName: "policyscope",
    displayName: "TypeScript",
    languageInfo: { name: "typescript" },
    async execute(source, { onBroadcast }) {
      let status: "ok" | "error" = "ok";
      for (const [msgType, content, buffers] of script[source] ?? []) {
        if (msgType === "error") status = "error";
        onBroadcast({ msgType, content, buffers: buffers ?? [] } satisfies Broadcast);
      }
      return { status, executionCount: ++count };
    },
    async close() {},
  };
}

describe("notebook files", () => {
  test("what is written reads back the same", () => {
    const file = join(folder, "same.ipynb");
    const original = book({ cell_type: "markdown", metadata: {}, source: "# Title\n\ntext" }, code("1 + 1"));
    writeNotebook(file, original);
    assert.deepEqual(readNotebook(file), original);
    assert.deepEqual(JSON.parse(readFileSync(file, "utf8")).cells[0].source, ["# Title\n", "\n", "text"]);
  });

  test("a file that is no notebook is named, with what is wrong", () => {
    const file = join(folder, "broken.ipynb");
    writeFileSync(file, `{"nbformat": 3, "cells": []}`);
    assert.throws(() => readNotebook(file), /broken\.ipynb is not a notebook of nbformat 4: nbformat/);
    writeFileSync(file, "{");
    assert.throws(() => readNotebook(file), /broken\.ipynb cannot be read as a notebook/);
  });

  test("parameters go behind the cell tagged parameters, and replace those of an earlier run", () => {
    const first = withParameters(book(code("let steps = 1", ["parameters"]), code("steps")), { steps: 3 });
    assert.deepEqual(
      first.cells.map((cell) => cell.source),
      ["let steps = 1", "// Parameters\nvar steps = 3;", "steps"],
    );
    const second = withParameters(first, { steps: 4 });
    assert.equal(second.cells.length, 3);
    assert.match(second.cells[1]?.source ?? "", /steps = 4/);
  });

  test("-p takes JSON, or else text", () => {
    assert.deepEqual(parseParameter("steps=3"), ["steps", 3]);
    assert.deepEqual(parseParameter("model=tiny-reviews"), ["model", "tiny-reviews"]);
    assert.throws(() => parseParameter("3"), /expected name=value/);
  });
});

describe("running a notebook", () => {
  test("streams are joined, displays updated by id even from a later cell, clear_output waits", async () => {
    const { notebook } = await executeNotebook(
      book(code("a"), code("b")),
      scripted({
        a: [
          ["stream", { name: "stdout", text: "10%\r" }],
          ["stream", { name: "stdout", text: "100%\n" }],
          ["clear_output", { wait: true }],
          ["display_data", { data: { "text/plain": "old" }, metadata: {}, transient: { display_id: "d" } }],
        ],
        b: [
          ["stream", { name: "stdout", text: "10%\r100%\r\n" }],
          ["update_display_data", { data: { "text/plain": "new" }, metadata: {}, transient: { display_id: "d" } }],
        ],
      }),
    );
    const outputs = notebook.cells.map((cell) => (cell.cell_type === "code" ? cell.outputs : []));
    assert.deepEqual(outputs[0], [{ output_type: "display_data", data: { "text/plain": "new" }, metadata: {} }]);
    assert.deepEqual(outputs[1], [{ output_type: "stream", name: "stdout", text: "100%\n" }]);
  });

  test("the first error stops the run, unless its cell is tagged raises-exception", async () => {
    const runner = () => scripted({ bad: [["error", { ename: "Error", evalue: "no", traceback: ["Error: no"] }]] });
    const stopped = await executeNotebook(book(code("bad"), code("after")), runner());
    assert.equal(stopped.failure?.cell, 0);
    assert.equal(stopped.failure?.evalue, "no");
    assert.equal((stopped.notebook.cells[1] as { execution_count: number | null }).execution_count, null);
    const expected = await executeNotebook(book(code("bad", ["raises-exception"]), code("after")), runner());
    assert.equal(expected.failure, undefined);
  });

  test("the state of widgets is saved with the notebook, buffers included", async () => {
    const { notebook } = await executeNotebook(
      book(code("w")),
      scripted({
        w: [
          [
            "comm_open",
            {
              comm_id: "m1",
              target_name: "jupyter.widget",
              data: {
                state: { _model_module: "anywidget", _model_name: "AnyModel", n: 1 },
                buffer_paths: [["values"]],
              },
            },
            [Uint8Array.of(1, 2, 3)],
          ],
          ["comm_msg", { comm_id: "m1", data: { method: "update", state: { n: 2 } } }],
        ],
      }),
    );
    assert.deepEqual(notebook.metadata.widgets, {
      "application/vnd.jupyter.widget-state+json": {
        version_major: 2,
        version_minor: 0,
        state: {
          m1: {
            model_module: "anywidget",
            model_name: "AnyModel",
            model_module_version: "",
            state: { _model_module: "anywidget", _model_name: "AnyModel", n: 2 },
            buffers: [{ encoding: "base64", path: ["values"], data: "AQID" }],
          },
        },
      },
    });
  });
});

describe("the exported page", () => {
  test("shows text, formulas, code and outputs, and escapes what is text", () => {
    const html = notebookToHtml(
      book({ cell_type: "markdown", metadata: {}, source: "# Hello\n\n$\\rho_t$" }, {
        ...code("const x = 1 < 2"),
        outputs: [
          { output_type: "stream", name: "stdout", text: "\u001b[31m<b>\u001b[0m" },
          { output_type: "display_data", data: { "text/html": "<i>rich</i>", "text/plain": "plain" }, metadata: {} },
        ],
      } as Notebook["cells"][number]),
      { title: "a <title>" },
    );
    assert.match(html, /<title>a &#60;title&#62;<\/title>/);
    assert.match(html, /<h1>Hello<\/h1>/);
    assert.match(html, /<math/);
    assert.match(html, /&lt;b&gt;/);
    assert.match(html, /<i>rich<\/i>/);
    assert.doesNotMatch(html, /https?:\/\/(?!www\.w3\.org)/, "needs nothing from elsewhere");
  });
});
