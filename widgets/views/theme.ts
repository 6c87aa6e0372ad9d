import { contrast, css, type Frame, frameOf, type Ground, luminance, mix, parseColor, type RGB } from "../color.js";

/**
 * Calls `apply` with the page's own colours, now and whenever the page changes theme. Works by looking at what is really
 * painted behind the element, so it follows JupyterLab, Notebook, VS Code and a plain page alike.
 */
export function followTheme(element: HTMLElement, apply: (ground: Ground) => void, signal: AbortSignal): void {
  let last = "";
  const look = () => {
    if (signal.aborted) return;
    // A front end may attach the element only after it has been drawn.
    const ground = groundOf(element.isConnected ? element : document.body);
    const name = JSON.stringify(ground);
    if (name === last) return;
    last = name;
    paintFrame(element, frameOf(ground));
    apply(ground);
  };
  // A theme's style sheet arrives some time after the attribute that announces it.
  const settle = () => {
    look();
    for (const delay of [60, 300, 1000]) setTimeout(look, delay);
  };
  const watcher = new MutationObserver(settle);
  for (const node of [document.documentElement, document.body]) {
    watcher.observe(node, {
      attributes: true,
      attributeFilter: ["class", "style", "data-theme", "data-jp-theme-light", "data-jp-theme-name"],
    });
  }
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", settle, { signal });
  const attached = new ResizeObserver(look);
  attached.observe(element);
  signal.addEventListener("abort", () => {
    watcher.disconnect();
    attached.disconnect();
  });
  look();
  requestAnimationFrame(look);
}

function groundOf(element: HTMLElement): Ground {
  const background = paintedBehind(element);
  const light = luminance(background) > 0.35;
  const standard: RGB = light ? [31, 35, 40] : [230, 232, 235];
  const parent = element.parentElement ?? document.body;
  const own = parseColor(getComputedStyle(parent).color);
  const ink = own ? mix(background, own, alphaOf(getComputedStyle(parent).color)) : standard;
  return { background, ink: contrast(background, ink) >= 9 ? ink : standard };
}

function paintedBehind(element: HTMLElement): RGB {
  for (let node: HTMLElement | null = element.parentElement ?? element; node; node = node.parentElement) {
    const text = getComputedStyle(node).backgroundColor;
    const color = parseColor(text);
    if (color && alphaOf(text) > 0.9) return color;
  }
  const dark =
    matchMedia("(prefers-color-scheme: dark)").matches &&
    getComputedStyle(document.documentElement).colorScheme.includes("dark");
  return dark ? [18, 18, 18] : [255, 255, 255];
}

function alphaOf(text: string): number {
  const parts = /^rgba\(([^)]*)\)$/.exec(text)?.[1]?.split(/[\s,/]+/);
  return parts?.[3] === undefined ? 1 : Number(parts[3]);
}

function paintFrame(element: HTMLElement, frame: Frame): void {
  for (const [name, color] of Object.entries(frame)) element.style.setProperty(`--ps-${name}`, css(color));
  element.style.setProperty("color-scheme", luminance(frame.background) < luminance(frame.ink) ? "dark" : "light");
}
