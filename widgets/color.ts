/** Red, green, blue, 0 to 255. */
export type RGB = readonly [number, number, number];

/** Background and text colour of one token. */
export interface Swatch {
  readonly background: RGB;
  readonly ink: RGB;
}

/** The page's own colours that a palette starts from. */
export interface Ground {
  readonly background: RGB;
  readonly ink: RGB;
}

/** Relative luminance (WCAG 2.2), 0 to 1. */
export function luminance(color: RGB): number {
  const [r, g, b] = color.map((part) => {
    const c = part / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** Contrast ratio of two colours (WCAG 2.2), 1 to 21. */
export function contrast(a: RGB, b: RGB): number {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

/** `a` with `share` (0 to 1) of `b` in it. */
export function mix(a: RGB, b: RGB, share: number): RGB {
  return [0, 1, 2].map((i) => Math.round((a[i] ?? 0) * (1 - share) + (b[i] ?? 0) * share)) as unknown as RGB;
}

/** As CSS. */
export function css([r, g, b]: RGB): string {
  return `rgb(${r}, ${g}, ${b})`;
}

/** Reads `rgb(…)`, `rgba(…)` and `#rrggbb`, the forms a browser computes; undefined for a transparent or unknown colour. */
export function parseColor(text: string): RGB | undefined {
  const hex = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(text.trim());
  if (hex) return hex.slice(1).map((part) => Number.parseInt(part, 16)) as unknown as RGB;
  const parts = /^rgba?\(([^)]*)\)$/
    .exec(text.trim())?.[1]
    ?.split(/[\s,/]+/)
    .map(Number);
  if (!parts || parts.length < 3 || parts.some(Number.isNaN) || parts[3] === 0) return undefined;
  return [parts[0] ?? 0, parts[1] ?? 0, parts[2] ?? 0];
}

/** True for a page with light text on a dark ground. */
export function isDark(ground: Ground): boolean {
  return luminance(ground.background) < luminance(ground.ink);
}

// PuOr (ColorBrewer) drawn out from the page's own background, so that zero is no colour at all.
const purple = {
  light: [
    [196, 190, 221],
    [155, 143, 196],
    [124, 106, 174],
  ],
  dark: [
    [62, 54, 102],
    [100, 86, 162],
    [146, 128, 218],
  ],
} as const;
const orange = {
  light: [
    [253, 203, 140],
    [240, 158, 66],
    [217, 122, 26],
  ],
  dark: [
    [88, 56, 24],
    [150, 94, 36],
    [212, 142, 68],
  ],
} as const;
// Yellow to blue as in cividis, with a cooler middle, from the end that is near the page's background to the other.
const cividis = {
  light: [
    [253, 246, 205],
    [222, 220, 200],
    [166, 177, 192],
    [106, 128, 164],
    [32, 70, 124],
  ],
  dark: [
    [28, 42, 78],
    [58, 74, 114],
    [108, 120, 138],
    [178, 169, 118],
    [246, 220, 108],
  ],
} as const;

/** Shades of one side of a palette: 0 is the page's background, `shades` the strongest. */
export const shades = 32;

/** Colours of every level of a channel, made for one page. Diverging: `-shades … shades`; sequential: `0 … shades`. */
export class Palette {
  readonly #up: readonly Swatch[];
  readonly #down: readonly Swatch[];

  constructor(kind: "diverging" | "sequential", ground: Ground) {
    const theme = isDark(ground) ? "dark" : "light";
    if (kind === "diverging") {
      this.#up = ramp(orange[theme], ground);
      this.#down = ramp(purple[theme], ground);
    } else {
      this.#up = ramp(cividis[theme], ground);
      this.#down = this.#up;
    }
  }

  /** The colours of a level (see {@link level}). */
  at(level: number): Swatch {
    const side = level < 0 ? this.#down : this.#up;
    return side[Math.min(shades, Math.abs(level))] as Swatch;
  }
}

function ramp(stops: readonly RGB[], ground: Ground): Swatch[] {
  const all = [ground.background, ...stops];
  return Array.from({ length: shades + 1 }, (_, step) => {
    const place = (step / shades) * (all.length - 1);
    const left = Math.min(all.length - 2, Math.floor(place));
    const background = mix(all[left] as RGB, all[left + 1] as RGB, place - left);
    return { background, ink: readableInk(background, ground.ink) };
  });
}

/** The page's own ink where it is readable (4.5 to 1) on a background, otherwise black or white, whichever reads better. */
export function readableInk(background: RGB, preferred: RGB): RGB {
  if (contrast(background, preferred) >= 4.5) return preferred;
  const [black, white]: [RGB, RGB] = [
    [0, 0, 0],
    [255, 255, 255],
  ];
  return contrast(background, black) >= contrast(background, white) ? black : white;
}

/** The colours of a view's frame, derived from the page's own two. */
export interface Frame {
  readonly background: RGB;
  readonly ink: RGB;
  /** Secondary text: at least 4.5 to 1 on `background` and on `soft`. */
  readonly muted: RGB;
  readonly line: RGB;
  /** Edges of things that can be operated: at least 3 to 1. */
  readonly edge: RGB;
  /** Ground of headings and panels. */
  readonly soft: RGB;
  readonly accent: RGB;
  readonly warning: RGB;
  readonly positive: RGB;
  readonly negative: RGB;
}

/** Colours for headings, lines, buttons and bars that fit any page, light or dark, and stay readable on it. */
export function frameOf(ground: Ground): Frame {
  const { background, ink } = ground;
  const dark = isDark(ground);
  const soft = mix(background, ink, 0.04);
  const readable = (color: RGB, least: number) => {
    let found = color;
    for (let i = 0; i < 30 && Math.min(contrast(found, soft), contrast(found, background)) < least; i++) {
      found = mix(found, ink, 0.1);
    }
    return found;
  };
  return {
    background,
    ink,
    soft,
    muted: readable(mix(background, ink, 0.6), 4.6),
    line: mix(background, ink, 0.12),
    edge: readable(mix(background, ink, 0.3), 3),
    accent: readable(dark ? [108, 176, 255] : [11, 98, 196], 4.6),
    warning: readable(dark ? [227, 179, 65] : [140, 94, 0], 4.6),
    positive: dark ? [255, 176, 92] : [200, 98, 0],
    negative: dark ? [166, 140, 255] : [94, 60, 153],
  };
}
