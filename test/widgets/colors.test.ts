import assert from "node:assert/strict";
import { test } from "node:test";
import { channelOf, channels, formatNumber } from "../../widgets/channels.js";
import { contrast, frameOf, type Ground, mix, Palette, parseColor, type RGB, shades } from "../../widgets/color.js";
import { axis, histogram, level, scaleOf } from "../../widgets/scale.js";

/** Pages as they are: plain, JupyterLab light and dark (with its 87 % inks), Solarized, VS Code, high contrast. */
const pages: Record<string, Ground> = {
  white: { background: [255, 255, 255], ink: [31, 35, 40] },
  "lab light": { background: [255, 255, 255], ink: mix([255, 255, 255], [0, 0, 0], 0.87) },
  "lab dark": { background: [17, 17, 17], ink: mix([17, 17, 17], [255, 255, 255], 0.87) },
  black: { background: [0, 0, 0], ink: [255, 255, 255] },
  "code dark": { background: [30, 30, 30], ink: [212, 212, 212] },
  cream: { background: [253, 246, 227], ink: [40, 54, 60] },
};

test("every token is readable in every shade of every palette on every page", () => {
  for (const [name, ground] of Object.entries(pages)) {
    for (const kind of ["diverging", "sequential"] as const) {
      const palette = new Palette(kind, ground);
      for (let shade = -shades; shade <= shades; shade++) {
        const { background, ink } = palette.at(shade);
        const ratio = contrast(background, ink);
        assert.ok(ratio >= 4.5, `${name}, ${kind}, shade ${shade}: contrast ${ratio.toFixed(2)}`);
      }
    }
  }
});

test("the frame's texts are readable and its edges visible on every page", () => {
  for (const [name, ground] of Object.entries(pages)) {
    const frame = frameOf(ground);
    for (const ground of [frame.background, frame.soft]) {
      for (const text of ["muted", "accent", "warning", "ink"] as const) {
        assert.ok(
          contrast(frame[text], ground) >= 4.5,
          `${name}: ${text} has ${contrast(frame[text], ground).toFixed(2)}`,
        );
      }
      assert.ok(contrast(frame.edge, ground) >= 3, `${name}: edge`);
    }
    // Curves and score bars, next to the page.
    for (const mark of ["positive", "negative", "muted"] as const) {
      assert.ok(contrast(frame[mark], frame.background) >= 3, `${name}: ${mark}`);
    }
  }
});

test("shades move steadily away from the page, and the two sides of zero differ for every kind of colour vision", () => {
  for (const ground of Object.values(pages)) {
    for (const kind of ["diverging", "sequential"] as const) {
      const palette = new Palette(kind, ground);
      for (const side of [1, -1]) {
        for (let shade = 1; shade <= shades; shade++) {
          const before = contrast(palette.at(side * (shade - 1)).background, ground.background);
          const here = contrast(palette.at(side * shade).background, ground.background);
          assert.ok(here >= before - 0.03, `${kind} ${side * shade}: ${before} -> ${here}`);
        }
      }
      assert.deepEqual(palette.at(0).background, ground.background);
    }
    // Orange and purple differ most along blue against yellow, which red-green blindness leaves alone.
    const diverging = new Palette("diverging", ground);
    const blueness = ([r, g, b]: RGB) => b - (r + g) / 2;
    assert.ok(blueness(diverging.at(-shades).background) - blueness(diverging.at(shades).background) > 90);
  }
});

test("colours are read as browsers write them", () => {
  assert.deepEqual(parseColor("rgb(1, 2, 3)"), [1, 2, 3]);
  assert.deepEqual(parseColor("rgba(1, 2, 3, 0.5)"), [1, 2, 3]);
  assert.deepEqual(parseColor("#0a0b0c"), [10, 11, 12]);
  assert.equal(parseColor("rgba(0, 0, 0, 0)"), undefined);
  assert.equal(parseColor("transparent"), undefined);
});

test("a diverging scale fixes its center and reaches equally far to both sides", () => {
  const mask = new Uint8Array(4).fill(1);
  const scale = scaleOf(channelOf("kl"), Float32Array.of(-1, 0, 0.5, 2), mask);
  assert.deepEqual(axis(scale), [-2, 2]);
  assert.equal(level(scale, 0), 0);
  assert.equal(level(scale, 2), shades);
  assert.equal(level(scale, -2), -shades);
  assert.equal(level(scale, -1), -level(scale, 1));
  const ratios = scaleOf(channelOf("ratio"), Float32Array.of(0.9, 1, 1.3, 1), mask);
  assert.equal(level(ratios, 1), 0);
  assert.ok(level(ratios, 1.1) > 0 && level(ratios, 0.9) < 0);
});

test("one outlier does not wash out the rest, tokens that do not count do not count, and NaN is no colour", () => {
  const values = new Float32Array(1000).map((_, i) => Math.sin(i));
  values[0] = 500;
  const mask = new Uint8Array(1000).fill(1);
  const scale = scaleOf(channelOf("advantage"), values, mask);
  assert.ok(scale.extent <= 1 && scale.beyond >= 1);
  assert.equal(level(scale, 500), shades);
  mask[0] = 0;
  assert.equal(scaleOf(channelOf("advantage"), values, mask).beyond, 0);
  values[1] = Number.NaN;
  assert.equal(scaleOf(channelOf("advantage"), values, mask).broken, 1);
  assert.ok(Number.isNaN(level(scale, Number.NaN)));
});

test("a channel that is all zero has no colour, and an empty batch no trouble", () => {
  const scale = scaleOf(channelOf("kl"), new Float32Array(5), new Uint8Array(5).fill(1));
  assert.equal(level(scale, 0), 0);
  const empty = scaleOf(channelOf("logprob"), new Float32Array(0), new Uint8Array(0));
  assert.deepEqual([...histogram(empty, new Float32Array(0), new Uint8Array(0), 4)], [0, 0, 0, 0]);
});

test("a histogram holds every value that counts, those beyond the axis at its ends", () => {
  const values = Float32Array.of(-4, -3, -2, -1, 0, 0);
  const mask = Uint8Array.of(1, 1, 1, 1, 1, 0);
  const counts = histogram(scaleOf(channelOf("logprob"), values, mask), values, mask, 4);
  assert.deepEqual([...counts], [1, 1, 1, 2]);
});

test("numbers are written with a true minus, and small ones are not lost", () => {
  assert.equal(formatNumber(-2.4061), "−2.406");
  assert.equal(formatNumber(0), "0.000");
  assert.equal(formatNumber(0.00001), "1.0e-5");
  assert.equal(formatNumber(-0.04, 1), "0.0");
  assert.equal(formatNumber(Number.NaN), "NaN");
  assert.equal(formatNumber(Number.NEGATIVE_INFINITY), "−∞");
  assert.equal(new Set(channels.map(({ key }) => key)).size, channels.length);
});
