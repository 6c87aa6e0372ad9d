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

  const listed = (pattern: RegExp): string =>
    `${pattern}.test(document.querySelector(".jp-DebuggerBreakpoints")?.innerText ?? "")`;
  const stackIs = ({ page }: OpenNotebook, pattern: RegExp) =>
    page.waitForFunction(`${pattern}.test(document.querySelector(".jp-DebuggerCallstack")?.innerText ?? "")`);
  const variablesShow = ({ page }: OpenNotebook, pattern: RegExp) =>
    page.waitForFunction(`${pattern}.test(document.querySelector(".jp-DebuggerVariables")?.innerText ?? "")`);
  const results = ({ cell }: OpenNotebook) => cell(0).locator(".jp-OutputArea-output").allInnerTexts();

  it("stops at a breakpoint, looks at variables, steps and goes on", async (open) => {
    const { page, cell, start, idle } = open;
    // Pressed at once: JupyterLab still asks what the kernel's debugger is doing.
    await page.click(".jp-DebuggerBugButton:not([aria-disabled=true])");
    await page.waitForSelector(".jp-DebuggerBugButton[aria-pressed=true]");
    await cell(0).locator(".cm-breakpoint-gutter .cm-gutterElement").nth(2).click();
    await page.waitForFunction(listed(/\n2$/));
    await start("notebook:run-cell");
    await stackIs(open, /^add\n[^\n]*\.ts:2\nCell In\[1\]\n[^\n]*\.ts:5/);
    await variablesShow(open, /c\s+undefined/);
    await start("debugger:next");
    await stackIs(open, /^add\n[^\n]*\.ts:3/);
    await variablesShow(open, /c\s+(?:number|5)/);
    await page.waitForSelector(".jp-DebuggerEditor-highlight");
    await start("debugger:stepOut");
    await stackIs(open, /^Cell In\[1\]\n[^\n]*\.ts:5/);
    await start("debugger:continue");
    await idle();
    assert.deepEqual(await results(open), ["5"]);
    await variablesShow(open, /sum/);
  });

  it("keeps breakpoints when the page is loaded again, also at a stop", async (open) => {
    const { page, start, idle, cell } = open;
    await cell(0).locator(".cm-content").click();
    await start("docmanager:save");
    await start("notebook:run-cell");
    await stackIs(open, /^add\n[^\n]*\.ts:2/);
    await page.reload();
    await page.waitForSelector(".jp-DebuggerBugButton[aria-pressed=true]");
    await page.waitForFunction(listed(/\n2$/));
    await stackIs(open, /^add\n[^\n]*\.ts:2/);
    await variablesShow(open, /a\s+(?:number|2)/);
    await start("debugger:continue");
    await idle();
  });

  it("keeps breakpoints when the kernel is restarted", async (open) => {
    const { page, start, idle, cell } = open;
    const restarted = `globalThis.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()`;
    const before = JSON.stringify(await page.locator(".jp-DebuggerBreakpoints").innerText());
    await page.evaluate(restarted);
    // The file that stands for the cell is another one then.
    await page.waitForFunction(`document.querySelector(".jp-DebuggerBreakpoints")?.innerText !== ${before}`);
    await page.waitForFunction(listed(/\n2$/));
    await page.waitForSelector(".jp-DebuggerBugButton[aria-pressed=true]");
    await idle();
    await cell(0).locator(".cm-content").click();
    await start("notebook:run-cell");
    await stackIs(open, /^add\n[^\n]*\.ts:2/);
    await start("debugger:continue");
    await idle();
    assert.deepEqual(await results(open), ["5"]);
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
