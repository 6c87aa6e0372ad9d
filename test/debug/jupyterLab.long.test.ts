import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type Lab, type OpenNotebook, startLab } from "../helpers/lab.js";

const cells = [
  "function add(a: number, b: number) {\n  const c = a + b;\n  return c;\n}\nconst sum = add(2, 3);\nsum",
  "interface Point { across: number; down: number }\nconst points: Point[] = [{ across: sum, down: 2 }];",
  "points[0].",
];

/** JupyterLab drops what comes late: a click before its debugger has started, an answer after a second. */
async function again(attempt: () => Promise<void>, tries = 8): Promise<void> {
  for (let left = tries - 1; ; left--) {
    try {
      return await attempt();
    } catch (error) {
      if (left === 0) throw error;
    }
  }
}

describe("a person in JupyterLab", { timeout: 300_000 }, () => {
  let lab: Lab;
  let notebook: OpenNotebook | undefined;
  let missing = "";
  before(async () => {
    const started = await startLab();
    if (typeof started === "string") {
      missing = started;
      return;
    }
    lab = started;
    lab.write("test.ipynb", cells);
    notebook = await lab.open("test.ipynb");
  });
  after(() => lab?.stop());
  const it = (name: string, body: (open: OpenNotebook) => Promise<void>) =>
    test(name, async (context) => (notebook ? body(notebook) : context.skip(missing)));

  it("stops at a breakpoint, looks at variables, steps and goes on", async ({ page, cell, start, idle }) => {
    // JupyterLab takes a debugger that starts while it still asks for its state for one that has not started.
    await page.waitForTimeout(2_000);
    await page.click(".jp-DebuggerBugButton:not([aria-disabled=true])");
    await page.waitForSelector(".jp-DebuggerBugButton[aria-pressed=true]");
    await page.waitForTimeout(2_000);
    const gutter = cell(0).locator(".cm-breakpoint-gutter .cm-gutterElement");
    const listed = `/\\n2$/.test(document.querySelector(".jp-DebuggerBreakpoints")?.innerText ?? "")`;
    await again(async () => {
      await gutter.nth(2).click();
      await page.waitForFunction(listed, undefined, { timeout: 20_000 });
    });
    await start("notebook:run-cell");
    const stack = page.locator(".jp-DebuggerCallstack");
    await stack.getByText("add", { exact: true }).waitFor();
    assert.match(await stack.innerText(), /^add\n[^\n]*\.ts:2\nCell In\[1\]\n[^\n]*\.ts:5/);
    const variables = page.locator(".jp-DebuggerVariables");
    await variables.getByText("c", { exact: true }).waitFor();
    assert.match(await variables.innerText(), /c\s+undefined/);
    await start("debugger:next");
    await page.waitForFunction(`/\\.ts:3/.test(document.querySelector(".jp-DebuggerCallstack")?.innerText ?? "")`);
    await page.waitForFunction(
      `/c\\s+number|c\\s+5/.test(document.querySelector(".jp-DebuggerVariables")?.innerText ?? "")`,
    );
    await start("debugger:continue");
    await idle();
    assert.deepEqual(await cell(0).locator(".jp-OutputArea-output").allInnerTexts(), ["5"]);
    await page.waitForFunction(`/sum/.test(document.querySelector(".jp-DebuggerVariables")?.innerText ?? "")`);
    await page.click(".jp-DebuggerBugButton");
    await page.waitForSelector(".jp-DebuggerBugButton[aria-pressed=false]");
  });

  it("completes with types of earlier cells", async ({ page, cell, start, idle }) => {
    await cell(1).locator(".cm-content").click();
    await start("notebook:run-cell");
    await idle();
    // The checker warms up after the first cells; until then living values answer.
    const hovered = `globalThis.jupyterapp.shell.currentWidget.sessionContext.session.kernel
      .requestInspect({ code: "points", cursor_pos: 2, detail_level: 0 })
      .then((reply) => reply.content.data["text/plain"] ?? "")`;
    await again(async () => {
      await page.waitForTimeout(2_000);
      assert.match(await page.evaluate<string>(hovered), /Point\[\]/);
    }, 30);
    await cell(2).locator(".cm-content").click();
    await page.keyboard.press("Control+End");
    const list = page.locator(".jp-Completer-item");
    await again(async () => {
      await start("completer:invoke-notebook");
      await list.first().waitFor({ timeout: 5_000 });
    });
    assert.deepEqual((await list.locator(".jp-Completer-match").allInnerTexts()).slice(0, 2), ["across", "down"]);
    await page.keyboard.press("Enter");
    await page.waitForFunction(
      `document.querySelectorAll(".jp-Notebook .jp-Cell .cm-content")[2]?.innerText.includes("points[0].across")`,
    );
  });

  it("shows signature and value on shift-tab", async ({ page, cell }) => {
    const tooltip = page.locator(".jp-Tooltip-content");
    await again(async () => {
      await cell(2).locator(".cm-content").click();
      await page.keyboard.press("Control+Home");
      await page.keyboard.press("ArrowRight");
      await page.keyboard.press("Shift+Tab");
      await tooltip.waitFor({ timeout: 5_000 });
      const text = await tooltip.innerText();
      await page.keyboard.press("Escape");
      assert.match(text, /const points: Point\[\]/);
    });
  });
});
