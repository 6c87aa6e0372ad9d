import { channelOf, formatNumber } from "./channels.js";
import { shades } from "./color.js";
import { clipFlags, episodeSum, firstChannel, type Lens, titleOf } from "./lens.js";
import { type DashState, openDash, panelsOf } from "./run.js";
import { level, type Scale, scaleOf } from "./scale.js";
import { summarize } from "./summary.js";
import { escapeHtml, quotedText, visibleText } from "./tokenText.js";

/** A value's static forms, for places where no widget can run. */
export interface Twin {
  readonly html: string;
  /** Coloured with ANSI escapes. */
  readonly text: string;
}

// A twin has no "more": long batches show their beginning and say what is left out.
const mostEpisodes = 64;
const mostTokens = 4096;
const strongestShown = 3;

/**
 * A batch as a table with one row per episode. Colours are see-through, so that it reads on light and dark pages; where
 * a sanitiser drops them, the strongest tokens of each episode still stand in the table with their numbers.
 */
export function lensTwin(lens: Lens): Twin {
  const channel = channelOf(firstChannel(lens));
  const epoch = Math.max(0, lens.epochs - 1);
  const column = lens.column(channel.key, epoch) ?? new Float32Array(lens.pieces.length);
  const scale = scaleOf(channel, column, lens.mask);
  const clipped = clipFlags(lens, epoch);
  const shown = episodesShown(lens);
  const facts = summarize(lens);
  const scored = lens.scores.length > 0;
  const heading = `${titleOf(lens)}, step ${lens.step}: ${lens.episodes} episodes`;
  const legend = `coloured by ${channel.label} (${channel.unit}): ${channel.explains}`;
  const left = lens.episodes - shown;
  const more = left > 0 ? `… and ${left} more ${left === 1 ? "episode" : "episodes"}` : "";
  const means = channel.key === "advantage" || channel.key === "ratio";
  const total = (episode: number) => {
    const sum = episodeSum(lens, column, episode);
    const count = Math.max(1, (lens.offsets[episode + 1] ?? 0) - (lens.offsets[episode] ?? 0));
    return formatNumber(means ? sum / count : sum, 2);
  };

  const rows: string[] = [];
  const lines: string[] = [];
  for (let episode = 0; episode < shown; episode++) {
    const prompt = lens.prompts[episode] ?? "";
    const tokens = tokensOf(lens, episode);
    const end = lens.ends[episode] === "stop" ? "eos" : "cut";
    const html = tokens
      .map((token) => {
        const text = escapeHtml(visibleText(lens.textOf(token)));
        const style = tokenStyle(scale, column[token] ?? 0, lens.mask[token] === 1, clipped?.[token] === 1);
        return style === "" ? text : `<span style="${style}">${text}</span>`;
      })
      .join("")
      .replace(/\n/g, "<br>");
    const score = scored ? formatNumber(lens.scores[episode] ?? 0, 2) : "";
    const strongest = strongestOf(lens, column, scale, episode)
      .map((token) => `${escapeHtml(quotedText(lens.textOf(token)))} ${formatNumber(column[token] ?? 0, 2)}`)
      .join("<br>");
    const cell = (content: string, style = "") =>
      `<td style="vertical-align: top; text-align: left; ${style}">${content}</td>`;
    rows.push(
      `<tr>${cell(String(episode + 1))}${scored ? cell(`<b>${score}</b>`) : ""}${cell(total(episode))}` +
        `${cell(`<i>${escapeHtml(visibleText(prompt)).replace(/\n/g, "<br>")}</i>${html} <b>[${end}]</b>`, "font-family: monospace;")}${cell(strongest, "white-space: nowrap;")}</tr>`,
    );
    lines.push(
      `${String(episode + 1).padStart(3)} ${scored ? `${score.padStart(6)} ` : ""}${total(episode).padStart(8)}  ${ansi("2", visibleText(prompt))}${tokens
        .map((token) =>
          ansiToken(
            scale,
            column[token] ?? 0,
            lens.mask[token] === 1,
            clipped?.[token] === 1,
            visibleText(lens.textOf(token)),
          ),
        )
        .join("")} ${ansi("2", `[${end}]`)}`,
    );
  }
  const sums = `${means ? "mean" : "sum of"} ${channel.label}`;
  const head = ["episode", ...(scored ? ["score"] : []), sums, "text", `strongest ${channel.label}`];
  const html =
    `<div><b>${escapeHtml(heading)}</b> · ${facts.map(({ name, value }) => `${escapeHtml(name)} <b>${escapeHtml(value)}</b>`).join(" · ")}` +
    `<br><span>${escapeHtml(legend)}</span>` +
    (lens.stale === undefined ? "" : `<br><b>stale:</b> ${escapeHtml(lens.stale)}`) +
    `<table><tr>${head.map((name) => `<th style="text-align: left;">${escapeHtml(name)}</th>`).join("")}</tr>${rows.join("")}</table>${more}</div>`;
  const text = [
    `${ansi("1", heading)}  ${facts.map(({ name, value }) => `${name} ${value}`).join(" · ")}`,
    ansi("2", `${legend}; columns: ${head.slice(0, -2).join(", ")}`),
    ...lines,
    ...(more ? [more] : []),
  ].join("\n");
  return { html, text };
}

/** A run as a table of its last steps over small line charts (an image, so that no page's style can reach it). */
export function dashTwin(state: DashState): Twin {
  const dash = openDash(state);
  const n = dash.steps.length;
  if (n === 0) {
    const nothing = "No training step yet: call trainer.step(), or loop over trainer.run({ steps: 10 }).";
    return { html: `<div><b>Training</b><br>${nothing}</div>`, text: `${ansi("1", "Training")}\n${nothing}` };
  }
  const panels = panelsOf(dash.names);
  const columns = panels.flatMap(({ title, lines }) =>
    lines.map(({ name, label }) => ({ name, title: lines.length > 1 ? `${title}: ${label}` : title })),
  );
  const first = Math.max(0, n - 12);
  const value = (name: string, i: number) => formatNumber(dash.metric(name)?.[i] ?? Number.NaN);
  const rows = Array.from({ length: n - first }, (_, k) => first + k);
  const html =
    `<div><b>Training, ${n} ${n === 1 ? "step" : "steps"}</b><br>` +
    `<img alt="${escapeHtml(panels.map(({ title }) => title).join(", "))} over the steps" src="data:image/svg+xml;base64,${Buffer.from(dashSvg(state)).toString("base64")}">` +
    `<table><tr><th>step</th>${columns.map(({ title }) => `<th>${escapeHtml(title)}</th>`).join("")}</tr>` +
    `${rows.map((i) => `<tr><td>${dash.steps[i]}</td>${columns.map(({ name }) => `<td>${value(name, i)}</td>`).join("")}</tr>`).join("")}</table></div>`;
  const width = Math.max(...columns.map(({ title }) => title.length));
  const text = [
    ansi("1", `Training, ${n} ${n === 1 ? "step" : "steps"}`),
    ...columns.map(
      ({ name, title }) =>
        `${title.padEnd(width)}  ${sparkline([...(dash.metric(name) ?? [])])}  ${value(name, n - 1)}`,
    ),
  ].join("\n");
  return { html, text };
}

/** The run's charts as one SVG picture. */
export function dashSvg(state: DashState): string {
  const dash = openDash(state);
  const panels = panelsOf(dash.names);
  const [w, h, across] = [230, 110, 3];
  const inks = ["#b35806", "#5e3c99", "#4d4d4d"];
  const parts = panels.map(({ title, lines }, p) => {
    const rows = lines.map(({ name }) => [...(dash.metric(name) ?? [])]);
    const all = rows.flat().filter(Number.isFinite);
    const [low, high] = [Math.min(...all), Math.max(...all)];
    const y = (v: number) => 92 - ((v - low) / (high - low || 1)) * 60;
    const x = (i: number) => 12 + (i / Math.max(1, dash.steps.length - 1)) * (w - 24);
    const drawn = rows.map(
      (row, k) =>
        `<polyline fill="none" stroke="${inks[k % 3]}" stroke-width="1.5" points="${row
          .map((v, i) => (Number.isFinite(v) ? `${x(i).toFixed(1)},${y(v).toFixed(1)}` : ""))
          .filter(Boolean)
          .join(" ")}"/>`,
    );
    const span = all.length > 0 ? `${formatNumber(low)} … ${formatNumber(high)}` : "";
    return (
      `<g transform="translate(${(p % across) * w} ${Math.floor(p / across) * h})"><rect x="4" y="2" width="${w - 8}" height="${h - 6}" rx="4" fill="#fff" stroke="#ccc"/>` +
      `<text x="12" y="17" font-weight="bold" fill="#222">${escapeHtml(title)}</text><text x="12" y="104" font-size="9" fill="#666">${escapeHtml(span)}</text>${drawn.join("")}</g>`
    );
  });
  const height = Math.ceil(panels.length / across) * h;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${w * across}" height="${height}" font-family="sans-serif" font-size="11">${parts.join("")}</svg>`;
}

function episodesShown(lens: Lens): number {
  let shown = 0;
  while (shown < Math.min(lens.episodes, mostEpisodes) && (shown === 0 || (lens.offsets[shown + 1] ?? 0) <= mostTokens))
    shown++;
  return shown;
}

function tokensOf(lens: Lens, episode: number): number[] {
  const from = lens.offsets[episode] ?? 0;
  const to = Math.min(lens.offsets[episode + 1] ?? 0, from + mostTokens);
  return Array.from({ length: to - from }, (_, i) => from + i);
}

function strongestOf(lens: Lens, column: Float32Array, scale: Scale, episode: number): number[] {
  const distance = (token: number) => Math.abs((column[token] ?? 0) - scale.channel.center);
  return tokensOf(lens, episode)
    .filter((token) => lens.mask[token] && distance(token) > 0)
    .sort((a, b) => distance(b) - distance(a))
    .slice(0, strongestShown);
}

function tokenStyle(scale: Scale, value: number, counts: boolean, clipped: boolean): string {
  const shade = counts ? level(scale, value) : 0;
  const styles: string[] = [];
  if (shade !== 0 && !Number.isNaN(shade)) {
    const alpha = ((Math.abs(shade) / shades) * 0.6).toFixed(2);
    const color = scale.channel.kind === "sequential" ? "64, 120, 200" : shade > 0 ? "224, 130, 20" : "128, 107, 190";
    styles.push(`background-color: rgba(${color}, ${alpha})`);
  }
  if (clipped) styles.push("text-decoration: underline");
  return styles.join("; ");
}

function ansiToken(scale: Scale, value: number, counts: boolean, clipped: boolean, text: string): string {
  const shade = counts ? level(scale, value) : 0;
  const strength = Math.ceil((Math.abs(shade) / shades) * 3);
  // Indexed backgrounds that terminals and JupyterLab know; black ink on each of them reads.
  const up = ["", "48;5;223;30", "48;5;215;30", "48;5;208;30"];
  const down = ["", "48;5;189;30", "48;5;147;30", "48;5;141;30"];
  const deep = ["", "48;5;153;30", "48;5;111;30", "48;5;75;30"];
  const ramp = scale.channel.kind === "sequential" ? deep : shade < 0 ? down : up;
  const codes = [Number.isNaN(shade) ? "7" : (ramp[strength] ?? ""), clipped ? "4" : ""].filter(Boolean).join(";");
  return codes === "" ? text : ansi(codes, text);
}

function ansi(codes: string, text: string): string {
  return `\u001b[${codes}m${text}\u001b[0m`;
}

function sparkline(values: readonly number[]): string {
  const last = values.slice(-40);
  const finite = last.filter(Number.isFinite);
  const [low, high] = [Math.min(...finite), Math.max(...finite)];
  return last
    .map((v) =>
      Number.isFinite(v) ? ("▁▂▃▄▅▆▇█"[Math.min(7, Math.floor(((v - low) / (high - low || 1)) * 8))] ?? "▁") : " ",
    )
    .join("");
}
