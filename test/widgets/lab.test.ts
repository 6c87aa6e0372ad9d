import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";
import { accessibility } from "../helpers/browser.js";
import { command, kernelReady, type Lab, runAll, startLab } from "../helpers/lab.js";

const built = join(dirname(fileURLToPath(import.meta.url)), "../..");
const imports = `const { inventStages, inventRun } = await import(${JSON.stringify(join(built, "test/helpers/episodes.js"))});
const { present } = await import(${JSON.stringify(join(built, "widgets/present.js"))});`;
const cells = {
  lens: `${imports}\ndisplay(present(inventStages().scored, Jupyter.comms), { raw: true });`,
  dash: `const entries = []; let changed = () => {}; let stopped = false;
const run = { entries, running: true, subscribe(f) { changed = f; return () => {}; }, stop() { stopped = true; } };
display(present(run, Jupyter.comms), { raw: true });`,
  loop: `for (const step of inventRun(600)) {
  if (stopped) break;
  entries.push(step); changed();
  await new Promise((done) => setTimeout(done, 100));
}
run.running = false; changed(); console.log("stopped:", stopped, "after", entries.length);`,
};

let lab: Lab;
let reason = "";
before(async () => {
  const started = await startLab();
  if (typeof started === "string") reason = started;
  else lab = started;
});
after(() => lab?.stop());

const drawn = (page: Page) => page.waitForSelector(".ps-lens .ps-t", { timeout: 30_000 });
const pressedChannel = (page: Page) => page.locator('.ps-lens .ps-channels [aria-pressed="true"]').textContent();

test("in JupyterLab: a lens under its cell, its keys kept from Lab, its theme Lab's; a reloaded page and a saved notebook without a kernel show it again", async (t) => {
  if (reason) return t.skip(reason);
  lab.write("lens.ipynb", [cells.lens]);
  const { page, errors } = await lab.open("lens.ipynb");
  await runAll(page);
  await drawn(page);

  await t.test("keys belong to the lens", async () => {
    await page.locator('.ps-lens .ps-t[data-i="0"]').click();
    for (const key of ["ArrowRight", "ArrowDown", "5", "s"]) await page.keyboard.press(key);
    assert.equal(await pressedChannel(page), "value");
    assert.equal(await page.locator(".jp-Notebook .jp-Cell").count(), 1, "Lab made no cell of a key");
    assert.equal(await page.locator(".ps-lens .ps-row").first().getAttribute("data-episode"), "4");
    await page.locator(".ps-lens .ps-filter").fill("kl > 0.5");
    await page.locator(".ps-lens .ps-filter").press("a");
    await page.locator(".ps-lens .ps-filter").press("Backspace");
    await page.waitForFunction(() => /tokens in/.test(document.querySelector(".ps-count")?.textContent ?? ""));
  });

  await t.test("axe finds nothing wrong", async () => {
    const { violations, contrastNodes } = await accessibility(page, ".ps-lens");
    assert.deepEqual(violations, []);
    assert.ok(contrastNodes > 15, `${contrastNodes} nodes were checked`);
  });

  await t.test("the theme is Lab's", async () => {
    const scheme = (wanted: string) =>
      page.waitForFunction(
        (w) => getComputedStyle(document.querySelector(".ps-lens") as Element).colorScheme === w,
        wanted,
      );
    await scheme("light");
    for (const [theme, wanted] of [
      ["JupyterLab Dark", "dark"],
      ["JupyterLab Light", "light"],
    ] as const) {
      await command(page, "apputils:change-theme", { theme });
      await scheme(wanted);
      // Lab fails by itself when a theme changes while it still takes its splash screen away.
      await page.waitForSelector("#jupyterlab-splash", { state: "detached" });
    }
  });

  await t.test("a reloaded page shows it again, as it was left", async () => {
    await page.waitForTimeout(500);
    await command(page, "docmanager:save");
    await page.reload();
    await kernelReady(page);
    await drawn(page);
    assert.equal(await pressedChannel(page), "value");
    assert.equal(await page.locator(".ps-lens .ps-filter").inputValue(), "kl > 0.5");
  });
  assert.deepEqual(errors, []);
  await command(page, "docmanager:save");
  await page.context().close();

  await t.test("once its kernel is gone, the saved notebook shows the live view", async () => {
    const saved = lab.read("lens.ipynb");
    assert.ok(saved.metadata.widgets, "Lab saved the widgets' state");
    const bundle = saved.cells[0]?.outputs?.find(
      ({ data }) => data?.["application/vnd.jupyter.widget-view+json"],
    )?.data;
    assert.ok(bundle?.["text/html"] && bundle["text/plain"], "the twins are saved beside the view");
    await lab.endKernels();
    const { page } = await lab.open("lens.ipynb");
    await drawn(page);
    assert.equal(await pressedChannel(page), "value");
    assert.equal(await page.getByText("model not found").count(), 0);
    await page.context().close();
  });

  await t.test("with no kernel at all it shows the live view", async () => {
    const giveBack = lab.withdrawKernel();
    try {
      await lab.endKernels();
      const { page } = await lab.open("lens.ipynb", { kernel: false });
      await drawn(page);
      assert.equal(await pressedChannel(page), "value");
      await page.context().close();
    } finally {
      giveBack();
    }
  });

  await t.test("from a stranger, the saved notebook shows the twin", async () => {
    const { metadata, cells: saved } = lab.read("lens.ipynb");
    lab.write("stranger.ipynb", [cells.lens], {
      kernel: "not-there",
      metadata,
      outputs: saved.map(({ outputs = [] }) => outputs),
    });
    const { page } = await lab.open("stranger.ipynb", { kernel: false });
    await page.getByText("[eos]").first().waitFor();
    assert.match((await page.locator(".jp-OutputArea-output table").textContent()) ?? "", /strongest KL/);
    const coloured = await page
      .locator(".jp-OutputArea-output td span")
      .first()
      .evaluate((span) => getComputedStyle(span).backgroundColor);
    assert.match(coloured, /rgba/, "Lab's sanitiser keeps the colours");
    await page.context().close();
  });
});

test("in JupyterLab: a dashboard grows while its cell runs, and Stop ends the loop", async (t) => {
  if (reason) return t.skip(reason);
  lab.write("dash.ipynb", [cells.lens, cells.dash, cells.loop]);
  const { page, errors } = await lab.open("dash.ipynb");
  const running = runAll(page);
  await page.waitForSelector(".ps-dash .js-plotly-plot", { timeout: 30_000 });
  const steps = async () => Number.parseInt((await page.locator(".ps-dash .ps-sub").textContent()) ?? "", 10);
  const early = await steps();
  await page.waitForFunction(
    (n) => Number.parseInt(document.querySelector(".ps-dash .ps-sub")?.textContent ?? "", 10) >= n + 5,
    early,
    { timeout: 30_000 },
  );
  await page.locator(".ps-dash").scrollIntoViewIfNeeded();
  await page.locator(".ps-dash .ps-stop").click();
  await running;
  await page.waitForFunction(
    () => /stopped: true after \d+/.test(document.querySelector(".jp-Notebook")?.textContent ?? ""),
    undefined,
    { timeout: 30_000 },
  );
  await page.locator(".ps-dash .ps-stop").waitFor({ state: "hidden" });
  const { violations } = await accessibility(page, ".ps-dash");
  assert.deepEqual(violations, []);
  assert.deepEqual(errors, []);
  await page.context().close();
});

test("in a JupyterLab that does not save widgets: a notebook opened again shows the twin, never an error", async (t) => {
  if (reason) return t.skip(reason);
  const forgetful = await startLab({ saveState: false });
  if (typeof forgetful === "string") return t.skip(forgetful);
  try {
    forgetful.write("lens.ipynb", [cells.lens]);
    const first = await forgetful.open("lens.ipynb");
    await runAll(first.page);
    await drawn(first.page);
    await command(first.page, "docmanager:save");
    await first.page.context().close();
    assert.equal(forgetful.read("lens.ipynb").metadata.widgets, undefined);
    await forgetful.endKernels();
    const { page } = await forgetful.open("lens.ipynb");
    await page.locator(".policyscope-twin table").waitFor();
    assert.match((await page.locator(".policyscope-twin").textContent()) ?? "", /strongest KL/);
    assert.equal(await page.getByText("model not found").isVisible(), false);
    await command(page, "notebook:run-all-cells");
    await drawn(page);
    assert.equal(await page.locator(".policyscope-twin").count(), 0);
    await page.context().close();
  } finally {
    await forgetful.stop();
  }
});
