import { present } from "../../widgets/present.js";
import { launchBrowser, mountView, noBrowser, onlyModel, savedState } from "../helpers/browser.js";
import { fakeComms } from "../helpers/comms.js";
import { inventStages, manyEpisodes } from "../helpers/episodes.js";
import type { Row } from "./step.js";

/**
 * A token lens over 64 thousand tokens (64 episodes of 1024): the kernel's packing, the first paint, a change of channel,
 * and a frame while scrolling, in a real browser.
 */
export async function widgetRows(say: (line: string) => void): Promise<readonly Row[]> {
  if (noBrowser) {
    say(`widgets were left out: ${noBrowser}`);
    return [];
  }
  const { advantaged } = inventStages(manyEpisodes(64, 1024));
  const comms = fakeComms();
  const started = performance.now();
  present(advantaged, comms);
  const packed = performance.now() - started;
  const browser = await launchBrowser();
  try {
    const { page } = await mountView(browser, onlyModel(savedState(comms.sent)));
    const measured = await page.evaluate(async () => {
      const { policyscopeTest } = globalThis as unknown as { policyscopeTest: { redraw(): Promise<HTMLElement> } };
      const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
      const time = async (work: () => unknown) => {
        await frame();
        const begun = performance.now();
        await work();
        await frame();
        return performance.now() - begun;
      };
      const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
      const paints: number[] = [];
      let element = document.body;
      for (let i = 0; i < 5; i++) {
        paints.push(
          await time(async () => {
            element = await policyscopeTest.redraw();
          }),
        );
      }
      const buttons = [...element.querySelectorAll<HTMLElement>(".ps-channels button")].slice(0, 7);
      const recolours: number[] = [];
      for (const button of [...buttons, ...buttons]) recolours.push(await time(() => button.click()));
      const rows = element.querySelector(".ps-rows") as HTMLElement;
      const scrolls: number[] = [];
      for (let i = 0; i < 60; i++) {
        rows.scrollTop += 137;
        const begun = performance.now();
        await frame();
        scrolls.push(performance.now() - begun);
      }
      scrolls.sort((a, b) => a - b);
      return { paint: median(paints), recolour: median(recolours), scroll: scrolls[56] ?? Number.NaN };
    });
    return [
      { what: "widgets: 64k tokens, packing in the kernel", unit: "ms", ours: packed },
      { what: "widgets: 64k tokens, first paint", unit: "ms", ours: measured.paint },
      { what: "widgets: 64k tokens, another channel", unit: "ms", ours: measured.recolour },
      { what: "widgets: 64k tokens, a frame while scrolling (p95)", unit: "ms", ours: measured.scroll },
    ];
  } finally {
    await browser.close();
  }
}
