import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import type { Browser } from "playwright-core";
import { asset } from "../../widgets/assets.js";
import type { SavedModel } from "../../widgets/export.js";
import { present } from "../../widgets/present.js";
import { packRun } from "../../widgets/run.js";
import {
  accessibility,
  launchBrowser,
  mountView,
  noBrowser,
  onlyModel,
  openHtml,
  pageOf,
  savedState,
} from "../helpers/browser.js";
import { fakeComms } from "../helpers/comms.js";
import { type InventedEpisode, inventRun, inventStages, manyEpisodes } from "../helpers/episodes.js";

let browser: Browser;
before(async () => {
  if (!noBrowser) browser = await launchBrowser();
});
after(async () => {
  await browser?.close();
});

const stages = inventStages();
function saved(value: Parameters<typeof present>[0]): SavedModel {
  const comms = fakeComms();
  present(value, comms, { alternatives: () => [] });
  return onlyModel(savedState(comms.sent));
}
const lens = (episodes: readonly InventedEpisode[], stage: keyof typeof stages) => saved(inventStages(episodes)[stage]);

test("a token lens draws every token of the batch, coloured by what the stage computed", {
  skip: noBrowser,
}, async () => {
  const expected = { rollout: "log-prob", scored: "KL", advantaged: "advantage", updated: "ratio" };
  for (const [stage, channel] of Object.entries(expected)) {
    const { page, errors } = await mountView(browser, saved(stages[stage as keyof typeof stages]));
    await page.waitForSelector(".ps-t");
    assert.equal(await page.locator(".ps-t").count(), stages.rollout.tokens.flat().length);
    assert.equal(await page.locator('.ps-channels [aria-pressed="true"]').textContent(), channel);
    assert.match(
      (await page.locator(".ps-row").nth(4).textContent()) ?? "",
      /What surprised me most was how funny it is: great great/,
    );
    assert.equal(await page.locator(".ps-end.ps-cut").count(), 2);
    assert.match((await page.locator(".ps-foot").textContent()) ?? "", /2 of 6 episodes end without EOS/);
    const coloured = await page
      .locator(".ps-t")
      .evaluateAll((all) => all.filter((t) => (t as HTMLElement).style.backgroundColor !== "").length);
    assert.ok(coloured > 30, `${stage}: ${coloured} coloured`);
    assert.deepEqual(errors, []);
    await page.context().close();
  }
});

test("the keyboard reaches every token, says its number aloud, pins, sorts, changes channel and filters", {
  skip: noBrowser,
}, async () => {
  const view = await mountView(browser, saved(stages.updated));
  const { page } = view;
  await page.waitForSelector(".ps-t");
  const outside: string[] = [];
  await page.exposeFunction("sawKey", (key: string) => outside.push(key));
  await page.evaluate(() => {
    document.addEventListener("keydown", (event) =>
      (globalThis as unknown as { sawKey(key: string): void }).sawKey(event.key),
    );
  });
  assert.equal(await page.locator('.ps-t[tabindex="0"]').count(), 1);
  await page.locator('.ps-t[data-i="0"]').click();
  await page.keyboard.press("Escape");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  assert.equal(await page.evaluate(() => (document.activeElement as HTMLElement).dataset.i), "2");
  assert.match((await page.locator('[role="status"]').textContent()) ?? "", /,: ratio \d/);
  await page.keyboard.press("ArrowDown");
  const second = stages.rollout.tokens[0]?.length ?? 0;
  assert.equal(await page.evaluate(() => (document.activeElement as HTMLElement).dataset.i), String(second + 2));
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowLeft");
  assert.equal(await page.evaluate(() => (document.activeElement as HTMLElement).dataset.i), String(second - 1));
  await page.keyboard.press("Enter");
  assert.equal(await page.locator(".ps-pin").count(), 1);
  await page.keyboard.press("3");
  assert.equal(await page.locator('.ps-channels [aria-pressed="true"]').textContent(), "KL");
  await page.keyboard.press("s");
  assert.equal(await page.locator(".ps-row").first().getAttribute("data-episode"), "4");
  await page.keyboard.press("s");
  assert.equal(await page.locator(".ps-row").first().getAttribute("data-episode"), "1");
  assert.deepEqual(outside, [], "JupyterLab must not see these keys");
  await page.keyboard.press("/");
  await page.keyboard.type("kl > 0.5 and score > 0");
  await page.waitForFunction(() => /tokens in 1 episode/.test(document.querySelector(".ps-count")?.textContent ?? ""));
  assert.equal(await page.locator(".ps-row").count(), 1);
  await page.keyboard.type(" and advantge < 0");
  await page.waitForFunction(() =>
    /did you mean "advantage"/.test(document.querySelector(".ps-count")?.textContent ?? ""),
  );
  assert.equal(await page.locator(".ps-filter").getAttribute("aria-invalid"), "true");
  assert.equal(await page.locator(".ps-row").count(), 6, "a filter that is not understood hides nothing");
  await page.waitForTimeout(400);
  const choices = (await view.state("choices")) as { channel: string; sort: string; filter: string; pinned: number };
  assert.deepEqual([choices.channel, choices.sort, choices.pinned], ["kl", "score up", second - 1]);
  assert.deepEqual(view.errors, []);
  await page.context().close();
});

test("what was chosen is there again when the page comes back", { skip: noBrowser }, async () => {
  const model = saved(stages.scored);
  const choices = { channel: "value", sort: "score down", filter: "value > 0", pinned: 3 };
  const { page } = await mountView(browser, { ...model, state: { ...model.state, choices } });
  await page.waitForSelector(".ps-t");
  assert.equal(await page.locator('.ps-channels [aria-pressed="true"]').textContent(), "value");
  assert.equal(await page.locator(".ps-filter").inputValue(), "value > 0");
  assert.equal(await page.locator(".ps-row").first().getAttribute("data-episode"), "4");
  assert.match((await page.locator(".ps-where").textContent()) ?? "", /episode 1, token 4/);
  await page.context().close();
});

test("hovering shows a token's numbers; the epoch slider changes the ratio; clipped tokens are underlined", {
  skip: noBrowser,
}, async () => {
  const { page } = await mountView(browser, saved(stages.updated));
  await page.locator('.ps-t[data-i="5"]').hover();
  await page.waitForFunction(() => /token 6 of/.test(document.querySelector(".ps-where")?.textContent ?? ""));
  const ratio = () => page.locator(".ps-numbers tr[data-on] td").textContent();
  const last = await ratio();
  assert.ok((await page.locator(".ps-clip").count()) > 0);
  assert.match(
    await page
      .locator(".ps-clip")
      .first()
      .evaluate((t) => getComputedStyle(t).textDecorationLine),
    /underline/,
  );
  await page.locator(".ps-epoch input").fill("1");
  await page.locator('.ps-t[data-i="5"]').hover();
  assert.match((await ratio()) ?? "", /1\.000/);
  assert.notEqual(last, await ratio());
  assert.equal(await page.locator(".ps-clip").count(), 0);
  await page.locator(".ps-minibatches summary").click();
  assert.equal(await page.locator(".ps-minibatches tbody tr").count(), stages.updated.minibatches.length);
  assert.equal(await page.locator(".ps-minibatches tr[data-on]").count(), 6);
  await page.context().close();
});

test("alternatives are asked for when a token is pinned, and shown with both models' probabilities", {
  skip: noBrowser,
}, async () => {
  const view = await mountView(browser, saved(stages.scored));
  await view.page.locator('.ps-t[data-i="5"]').click();
  await view.page.waitForTimeout(250);
  assert.deepEqual(
    (await view.sent()).filter(({ type }) => type === "alternatives"),
    [{ type: "alternatives", token: 5 }],
  );
  await view.receive({
    content: {
      type: "alternatives",
      token: 5,
      alternatives: [{ id: 1, text: " <b>great</b>", probability: 0.61, reference: 0.08 }],
    },
  });
  const text = await view.page.locator(".ps-alternatives").textContent();
  assert.match(text ?? "", /What could have come here␣<b>great<\/b>61%/);
  assert.equal(await view.page.locator(".ps-alternatives b").count(), 0);
  await view.page.context().close();
});

test("no token, prompt or alternative can be markup or run", { skip: noBrowser }, async () => {
  const attack = '<img src=x onerror="globalThis.hacked=1"><script>globalThis.hacked=1</script>';
  const episodes = [
    {
      prompt: attack,
      tokens: [attack, "</span>", "\u202e", "\u001b[2J", "</script><script>globalThis.hacked=1</script>"],
      score: 1,
    },
  ];
  const stages = inventStages(episodes);
  const comms = fakeComms();
  const bundle = present(stages.updated, comms);
  const { page, errors } = await openHtml(browser, pageOf(savedState(comms.sent)) + String(bundle["text/html"]));
  await page.waitForSelector(".ps-t");
  assert.equal(await page.locator(".ps-lens img, .ps-lens script").count(), 0);
  assert.match((await page.locator(".ps-t").first().textContent()) ?? "", /^<img src=x/);
  await page.waitForTimeout(100);
  assert.equal(await page.evaluate(() => (globalThis as unknown as { hacked?: number }).hacked), undefined);
  assert.deepEqual(errors, []);
  await page.context().close();
});

test("a lens follows the page's theme, also when it changes", { skip: noBrowser }, async () => {
  const { page } = await mountView(browser, saved(stages.scored));
  await page.waitForSelector(".ps-t");
  const scheme = () => page.locator(".ps-lens").evaluate((root) => getComputedStyle(root).colorScheme);
  const background = () => page.locator(".ps-card").evaluate((card) => getComputedStyle(card).backgroundColor);
  assert.equal(await scheme(), "light");
  await page.evaluate(() => {
    document.body.style.background = "rgb(17, 17, 17)";
    document.body.style.color = "rgba(255, 255, 255, 0.87)";
    document.body.dataset.jpThemeLight = "false";
  });
  await page.waitForFunction(
    () => getComputedStyle(document.querySelector(".ps-lens") as Element).colorScheme === "dark",
  );
  assert.equal(await background(), "rgb(17, 17, 17)");
  await page.context().close();
});

test("axe finds nothing wrong with the views, light and dark, and did check their contrast", {
  skip: noBrowser,
}, async () => {
  for (const dark of [false, true]) {
    for (const value of [stages.scored, stages.updated, { entries: inventRun(12), running: true, stop() {} }]) {
      const { page } = await mountView(browser, saved(value), { dark });
      await page.waitForSelector(".ps-card");
      await page.evaluate(() => {
        for (const details of document.querySelectorAll("details")) details.open = true;
      });
      await page.waitForTimeout(200);
      const { violations, contrastNodes } = await accessibility(page, "#place");
      assert.deepEqual(violations, []);
      assert.ok(contrastNodes > 15, `${contrastNodes} nodes`);
      await page.context().close();
    }
  }
});

test("focus can be seen: a focused token, button and field look different from the same at rest", {
  skip: noBrowser,
}, async () => {
  const { page } = await mountView(browser, saved(stages.scored));
  await page.waitForSelector(".ps-t");
  const looks = (selector: string) =>
    page
      .locator(selector)
      .first()
      .evaluate((element) => {
        const { outlineStyle, outlineWidth, outlineColor, boxShadow } = getComputedStyle(element);
        return `${outlineStyle} ${outlineWidth} ${outlineColor} ${boxShadow}`;
      });
  for (const selector of [".ps-channels button", ".ps-filter", '.ps-t[tabindex="0"]']) {
    const rest = await looks(selector);
    await page.locator(selector).first().focus();
    await page.keyboard.press("Shift");
    await page.evaluate(
      (s) => (document.querySelector(s) as HTMLElement).focus({ focusVisible: true } as FocusOptions),
      selector,
    );
    assert.notEqual(await looks(selector), rest, selector);
    await page.evaluate(() => (document.activeElement as HTMLElement).blur());
  }
  await page.context().close();
});

test("64 thousand tokens: only what is near the visible part exists, and scrolling to the end shows the end", {
  skip: noBrowser,
}, async () => {
  for (const [count, length] of [
    [64, 1024],
    [2048, 32],
    [1, 65_536],
  ] as const) {
    const { page, errors } = await mountView(browser, lens(manyEpisodes(count, length), "advantaged"));
    await page.waitForSelector(".ps-t");
    assert.ok((await page.locator(".ps-t").count()) < 3000);
    await page.locator(".ps-rows").evaluate((rows) => {
      rows.scrollTop = rows.scrollHeight;
    });
    await page.waitForTimeout(300);
    await page.locator(".ps-rows").evaluate((rows) => {
      rows.scrollTop = rows.scrollHeight;
    });
    await page.waitForSelector(`.ps-t[data-i="${count * length - 1}"]`, { timeout: 30_000 });
    assert.ok((await page.locator(".ps-t").count()) < 3000);
    await page.keyboard.press("Tab");
    assert.deepEqual(errors, []);
    await page.context().close();
  }
});

test("the view says what is wrong when its state is not there", { skip: noBrowser }, async () => {
  const model = saved(stages.scored);
  const { page } = await mountView(browser, { ...model, buffers: [] });
  assert.match((await page.locator('[role="alert"]').textContent()) ?? "", /no "offsets" in it: run its cell again/);
  await page.context().close();
});

test("a dashboard begins empty, grows as steps arrive, stops the loop, and draws with plotly once it is there", {
  skip: noBrowser,
}, async () => {
  const view = await mountView(browser, saved({ entries: [] }));
  const { page } = view;
  assert.match((await page.locator(".ps-empty").textContent()) ?? "", /No training step yet/);
  const grow = async (count: number, running: boolean) => {
    const { run, steps, series } = packRun({ entries: inventRun(count), running, stop() {} });
    await view.receive({ state: { run, steps: [...steps], series: [...series] } });
    await page.waitForFunction((n) => document.querySelector(".ps-sub")?.textContent?.startsWith(`${n} step`), count);
  };
  await grow(1, true);
  assert.equal(await page.locator(".ps-empty").isVisible(), false);
  assert.equal(await page.locator(".ps-panel svg.ps-plain").count(), 8);
  await grow(7, true);
  assert.equal((await view.sent()).filter(({ type }) => type === "asset").length, 1);
  await view.receive({ content: { type: "asset", name: "plotly-basic" }, text: asset("plotly-basic.min.js") });
  await page.waitForSelector(".js-plotly-plot", { timeout: 30_000 });
  assert.equal(await page.locator(".js-plotly-plot").count(), 8);
  await page.getByRole("button", { name: "Stop" }).click();
  assert.equal((await view.sent()).filter(({ type }) => type === "stop").length, 1);
  assert.match((await page.locator(".ps-sub").textContent()) ?? "", /stopping/);
  await grow(9, false);
  assert.equal(await page.locator(".ps-stop").isVisible(), false);
  await page.locator(".ps-step input").focus();
  await page.keyboard.press("ArrowLeft");
  assert.match((await page.locator(".ps-step output").textContent()) ?? "", /^7/);
  assert.deepEqual(view.errors, []);
  await page.context().close();
});

test("an exported page shows its live views from a file, with no network and no kernel, plotly included", {
  skip: noBrowser,
}, async () => {
  const comms = fakeComms();
  present(stages.rollout, comms);
  present(stages.advantaged, comms);
  present({ entries: inventRun(20) }, comms);
  const folder = mkdtempSync(join(tmpdir(), "policyscope-page-"));
  try {
    const file = join(folder, "page.html");
    writeFileSync(file, pageOf(savedState(comms.sent)));
    const { page, errors } = await openHtml(browser, "");
    const requests: string[] = [];
    page.on("request", (request) => requests.push(request.url()));
    await page.goto(pathToFileURL(file).href);
    await page.waitForSelector(".js-plotly-plot", { timeout: 30_000 });
    assert.equal(await page.locator(".ps-lens").count(), 2);
    assert.equal(await page.getByText("twin").count(), 0);
    assert.deepEqual(
      requests.filter((url) => !url.startsWith("file:") && !url.startsWith("blob:") && !url.startsWith("data:")),
      [],
    );
    assert.deepEqual(errors, []);
    await page.context().close();
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("where a view cannot be drawn, its twin stays", { skip: noBrowser }, async () => {
  const comms = fakeComms();
  present(stages.rollout, comms);
  const state = savedState(comms.sent);
  const [id] = Object.keys(state.state);
  const model = onlyModel(state);
  const { page } = await openHtml(
    browser,
    pageOf({ ...state, state: { [id ?? ""]: { ...model, state: { ...model.state, lens: undefined } } } }),
  );
  await page.waitForTimeout(300);
  assert.equal(await page.getByText("twin").count(), 1);
  await page.context().close();
});
