import type { RenderProps } from "@anywidget/types";
import { type Channel, type ChannelKey, channelOf, channels, formatNumber } from "../channels.js";
import { type Ground, Palette } from "../color.js";
import { type Filter, FilterError, parseFilter } from "../filter.js";
import { clipFlags, episodeSum, firstChannel, type Lens, longest, titleOf } from "../lens.js";
import { isLensChoices, type LensChoices, type LensSort, lensOf, lensSorts } from "../lensState.js";
import { type Scale, scaleOf } from "../scale.js";
import { summarize } from "../summary.js";
import { quotedText } from "../tokenText.js";
import { h, perFrame, whenQuiet } from "./dom.js";
import { Legend } from "./lens/legend.js";
import { Rows, type RowsPicture } from "./lens/rows.js";
import { type Alternative, Side } from "./lens/side.js";
import { followTheme } from "./theme.js";

type State = Record<string, unknown>;

/** anywidget's entry: draws one token lens from the model's state; needs no kernel. */
function render({ model, el, signal }: RenderProps<State>): void {
  const gone = signal ?? new AbortController().signal;
  const root = h("div", { class: "ps-lens" });
  el.append(root);
  try {
    new TokenLens(
      model,
      root,
      lensOf((key) => model.get(key)),
      gone,
    );
  } catch (error) {
    root.append(h("p", { class: "ps-failure", role: "alert" }, error instanceof Error ? error.message : String(error)));
    throw error;
  }
}

export default { render };

const sortNames: Readonly<Record<LensSort, string>> = {
  batch: "in batch order",
  "score down": "best score first",
  "score up": "worst score first",
  "channel down": "highest channel first",
  "channel up": "lowest channel first",
  longest: "longest first",
};

class TokenLens {
  readonly #model: RenderProps<State>["model"];
  readonly #lens: Lens;
  readonly #root: HTMLElement;
  readonly #signal: AbortSignal;
  readonly #legend = new Legend();
  readonly #side: Side;
  readonly #rows: Rows;
  readonly #buttons = new Map<ChannelKey, HTMLButtonElement>();
  readonly #readout = h("div", { class: "ps-unseen", "aria-live": "polite", role: "status" });
  readonly #count = h("output", { class: "ps-count" });
  readonly #explains = h("p", { class: "ps-explains" });
  readonly #minibatches = h("tbody");
  readonly #save: () => void;
  readonly #showSide: () => void;
  readonly #askAlternatives: () => void;
  readonly #scales = new Map<ChannelKey, Scale>();
  readonly #clipped = new Map<number, Uint8Array>();
  readonly #alternatives = new Map<number, readonly Alternative[] | string>();

  #ground: Ground = { background: [255, 255, 255], ink: [31, 35, 40] };
  #channel: ChannelKey;
  #sort: LensSort;
  #epoch: number;
  #filterText: string;
  #filter: Filter | undefined;
  #order: readonly number[] = [];
  #cursor: number;
  #hover: number | undefined;
  #pinned: number | undefined;
  #picture: RowsPicture;

  constructor(model: RenderProps<State>["model"], root: HTMLElement, lens: Lens, signal: AbortSignal) {
    this.#model = model;
    this.#lens = lens;
    this.#root = root;
    this.#signal = signal;
    const stored = model.get("choices");
    const choices: LensChoices = isLensChoices(stored) ? stored : {};
    const wanted = choices.channel ?? firstChannel(lens);
    this.#channel = lens.column(wanted) ? wanted : "logprob";
    this.#sort = choices.sort ?? "batch";
    this.#epoch = Math.min(choices.epoch ?? lens.epochs - 1, lens.epochs - 1);
    this.#filterText = choices.filter ?? "";
    this.#pinned = choices.pinned !== undefined && choices.pinned < lens.pieces.length ? choices.pinned : undefined;

    this.#side = new Side(lens);
    this.#save = whenQuiet(() => this.#store(), 300, signal);
    this.#showSide = perFrame(() => this.#paintSide(), signal);
    this.#askAlternatives = whenQuiet(() => this.#ask(), 150, signal);
    this.#understandFilter();
    this.#order = this.#arranged();
    this.#picture = this.#pictured();
    this.#cursor = this.#pinned ?? this.#strongest();
    this.#rows = new Rows(
      lens,
      this.#picture,
      "episodes, one token per cell",
      {
        hover: (token) => {
          this.#hover = token;
          this.#showSide();
        },
        choose: (token) => {
          this.#cursor = token;
          this.#pin(this.#pinned === token ? undefined : token);
          this.#rows.point(token, this.#pinned, true);
        },
      },
      signal,
    );
    this.#build();
    this.#rows.point(this.#cursor, this.#pinned, false);
    followTheme(
      root,
      (ground) => {
        this.#ground = ground;
        this.#repaint();
      },
      signal,
    );
    model.on("msg:custom", this.#received);
    signal.addEventListener("abort", () => model.off("msg:custom", this.#received));
    // The first message of a comm always waits for a busy kernel: better now than at the first question.
    model.send({ type: "hello" });
  }

  #build(): void {
    const lens = this.#lens;
    const title = titleOf(lens);
    const tokens = longest(lens);
    const card = h(
      "section",
      { class: "ps-card", "aria-label": `Token lens: ${title}, step ${lens.step}` },
      h(
        "div",
        { class: "ps-head" },
        h("b", {}, title),
        h(
          "span",
          { class: "ps-sub" },
          `step ${lens.step} · ${lens.episodes} ${lens.episodes === 1 ? "episode" : "episodes"} · ${tokens === 1 ? "1 token" : `up to ${tokens} tokens`} each`,
        ),
        h(
          "code",
          {
            class: "ps-chip",
            title: `fingerprint ${lens.fingerprint}: equal when you see the same numbers as someone else`,
          },
          shortFingerprint(lens.fingerprint),
        ),
        lens.stale === undefined ? undefined : h("span", { class: "ps-chip ps-stale", title: lens.stale }, "stale"),
        h("span", { class: "ps-space" }),
        this.#channelButtons(),
      ),
      this.#facts(),
      h(
        "div",
        { class: "ps-tools" },
        h("div", { class: "ps-legend-block" }, this.#legend.element, this.#explains),
        h("span", { class: "ps-space" }),
        h("div", { class: "ps-controls" }, this.#epochSlider(), this.#sortMenu(), this.#filterField(), this.#count),
      ),
      h("div", { class: "ps-main" }, this.#rows.element, this.#side.element),
      this.#minibatchTable(),
      this.#foot(),
      this.#readout,
    );
    card.addEventListener("keydown", (event) => this.#key(event), { signal: this.#signal });
    this.#root.append(card);
  }

  #channelButtons(): HTMLElement {
    const group = h("div", { class: "ps-channels", role: "group", "aria-label": "channel" });
    channels.forEach((channel, i) => {
      const there = this.#lens.column(channel.key) !== undefined;
      if (!there && channel.key === "newLogprob") return;
      const button = h(
        "button",
        {
          type: "button",
          title: there ? `${channel.explains} (key ${i + 1})` : `comes with ${channel.from}()`,
          "aria-disabled": there ? undefined : "true",
        },
        channel.label,
      );
      button.addEventListener("click", () => this.#choose(channel.key), { signal: this.#signal });
      this.#buttons.set(channel.key, button);
      group.append(button);
    });
    return group;
  }

  #facts(): HTMLElement {
    const list = h("div", { class: "ps-facts" });
    for (const { name, value, explains } of summarize(this.#lens)) {
      list.append(h("span", { title: explains }, `${name} `, h("b", {}, value)));
    }
    for (const [name, value] of this.#lens.settings) {
      list.append(
        h(
          "span",
          { title: "a setting of this stage" },
          `${name} `,
          h("code", {}, typeof value === "number" ? trimmed(value) : value),
        ),
      );
    }
    return list;
  }

  #epochSlider(): HTMLElement | undefined {
    const { epochs } = this.#lens;
    if (epochs < 1) return undefined;
    const said = h("output", {}, `${this.#epoch + 1} of ${epochs}`);
    const slider = h("input", {
      type: "range",
      min: 1,
      max: epochs,
      step: 1,
      value: this.#epoch + 1,
      "aria-label": "PPO epoch",
    });
    slider.addEventListener(
      "input",
      () => {
        this.#epoch = Number(slider.value) - 1;
        said.textContent = `${this.#epoch + 1} of ${epochs}`;
        this.#understandFilter();
        this.#order = this.#arranged();
        this.#repaint();
        this.#save();
      },
      { signal: this.#signal },
    );
    return h("label", { class: "ps-epoch" }, "epoch", slider, said);
  }

  #sortMenu(): HTMLElement {
    const menu = h("select", { class: "ps-sort", "aria-label": "order of the episodes" });
    for (const sort of lensSorts) {
      if (sort.startsWith("score") && this.#lens.scores.length === 0) continue;
      menu.append(h("option", { value: sort, selected: sort === this.#sort }, sortNames[sort]));
    }
    menu.addEventListener("change", () => this.#sortBy(menu.value as LensSort), { signal: this.#signal });
    return menu;
  }

  #filterField(): HTMLElement {
    const example = this.#lens.stage === "rollout" ? "logprob < -3" : "kl > 0.5 and score < 0";
    const field = h("input", {
      class: "ps-filter",
      type: "text",
      spellcheck: "false",
      autocomplete: "off",
      "aria-label": "filter tokens",
      placeholder: `filter: ${example}`,
      title:
        'conditions on channels, score, length, position, text, eos, clipped; e.g. abs(advantage) > 2 and text ~ "great"',
      value: this.#filterText,
    });
    field.value = this.#filterText;
    const apply = whenQuiet(
      () => {
        this.#filterText = field.value;
        this.#understandFilter();
        this.#order = this.#arranged();
        this.#repaint();
        this.#save();
      },
      120,
      this.#signal,
    );
    field.addEventListener("input", apply, { signal: this.#signal });
    return field;
  }

  #minibatchTable(): HTMLElement | undefined {
    const { minibatches } = this.#lens;
    if (minibatches.length === 0) return undefined;
    const heads = [
      "epoch",
      "mini-batch",
      "episodes",
      "policy loss",
      "value loss",
      "approx. KL",
      "clipped",
      "mean ratio",
      "entropy",
      "gradient norm",
    ];
    for (const m of minibatches) {
      const episodes = m.rows.map((row) => row + 1);
      this.#minibatches.append(
        h(
          "tr",
          { "data-epoch": m.epoch, title: m.skipped ? "skipped: the mean ratio was over the threshold" : "" },
          ...[
            String(m.epoch + 1),
            String(m.index + 1) + (m.skipped ? " (skipped)" : ""),
            episodes.length > 6 ? `${episodes.slice(0, 5).join(" ")} … (${episodes.length})` : episodes.join(" "),
            formatNumber(m.policyLoss, 4),
            formatNumber(m.valueLoss, 4),
            formatNumber(m.approxKl, 4),
            `${(m.clipFrac * 100).toFixed(1)}%`,
            formatNumber(m.meanRatio, 3),
            formatNumber(m.entropy, 3),
            formatNumber(m.gradientNorm, 3),
          ].map((text) => h("td", {}, text)),
        ),
      );
    }
    return h(
      "details",
      { class: "ps-minibatches" },
      h("summary", {}, `${minibatches.length} mini-batches, each before its optimizer step`),
      h(
        "div",
        { class: "ps-scroll", tabindex: "0", role: "region", "aria-label": "mini-batches" },
        h(
          "table",
          {},
          h("thead", {}, h("tr", {}, ...heads.map((name) => h("th", { scope: "col" }, name)))),
          this.#minibatches,
        ),
      ),
    );
  }

  #foot(): HTMLElement {
    const key = (name: string) => h("kbd", {}, name);
    const cut = this.#lens.ends.filter((end) => end === "length").length;
    const last = this.#lens.epochs > 0 ? "9" : "8";
    return h(
      "div",
      { class: "ps-foot" },
      h("span", {}, key("←"), " ", key("→"), " token"),
      h("span", {}, key("↑"), " ", key("↓"), " episode"),
      h("span", {}, key("1"), "…", key(last), " channel"),
      h("span", {}, key("Enter"), " pin"),
      h("span", {}, key("S"), " sort"),
      h("span", {}, key("/"), " filter"),
      h("span", { class: "ps-space" }),
      cut > 0
        ? h(
            "span",
            {
              class: "ps-warning",
              title:
                "they reached the longest length before an end-of-sequence token; their score judges an unfinished text",
            },
            `⚠ ${cut} of ${this.#lens.episodes} ${cut === 1 ? "episode ends" : "episodes end"} without EOS`,
          )
        : undefined,
    );
  }

  #choose(key: ChannelKey): void {
    const channel = channelOf(key);
    if (!this.#lens.column(key)) {
      this.#readout.textContent = `${channel.label} comes with ${channel.from}()`;
      return;
    }
    this.#channel = key;
    if (this.#sort.startsWith("channel")) this.#order = this.#arranged();
    this.#repaint();
    this.#readout.textContent = `colours show ${channel.label}: ${channel.explains}`;
    this.#save();
  }

  #sortBy(sort: LensSort): void {
    this.#sort = sort;
    this.#order = this.#arranged();
    const menu = this.#root.querySelector<HTMLSelectElement>(".ps-sort");
    if (menu) menu.value = sort;
    this.#repaint();
    this.#readout.textContent = sortNames[sort];
    this.#save();
  }

  #pin(token: number | undefined): void {
    this.#pinned = token;
    this.#rows.point(this.#cursor, token, false);
    this.#showSide();
    this.#askAlternatives();
    this.#save();
  }

  #key(event: KeyboardEvent): void {
    const typing = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (typing) {
      if (event.key === "Escape" && event.target instanceof HTMLInputElement && event.target.type === "text") {
        this.#rows.point(this.#cursor, this.#pinned, true);
        event.preventDefault();
      }
      // JupyterLab's single-key commands must not see what is typed here.
      event.stopPropagation();
      return;
    }
    const inRows = this.#rows.element.contains(event.target as Node);
    const done = (() => {
      if (/^[1-9]$/.test(event.key)) {
        const channel = channels[Number(event.key) - 1];
        if (channel) this.#choose(channel.key);
        return true;
      }
      if (event.key === "s" || event.key === "S") {
        const cycle: readonly LensSort[] =
          this.#lens.scores.length > 0 ? ["score down", "score up", "batch"] : ["channel up", "channel down", "batch"];
        this.#sortBy(cycle[(cycle.indexOf(this.#sort) + 1) % cycle.length] ?? "batch");
        return true;
      }
      if (event.key === "/") {
        this.#root.querySelector<HTMLInputElement>(".ps-filter")?.focus();
        return true;
      }
      if (event.key === "Escape" && this.#pinned !== undefined) {
        this.#pin(undefined);
        return true;
      }
      if (!inRows) return false;
      switch (event.key) {
        case "ArrowRight":
          return this.#move(1);
        case "ArrowLeft":
          return this.#move(-1);
        case "ArrowDown":
          return this.#moveEpisode(1);
        case "ArrowUp":
          return this.#moveEpisode(-1);
        case "Home":
          return this.#goto(this.#lens.offsets[this.#lens.episodeOf(this.#cursor)] ?? 0);
        case "End":
          return this.#goto((this.#lens.offsets[this.#lens.episodeOf(this.#cursor) + 1] ?? 1) - 1);
        case "PageDown":
          return this.#moveEpisode(5);
        case "PageUp":
          return this.#moveEpisode(-5);
        case "Enter":
        case " ":
          this.#pin(this.#pinned === this.#cursor ? undefined : this.#cursor);
          this.#readout.textContent = this.#pinned === undefined ? "unpinned" : "pinned";
          return true;
        default:
          return false;
      }
    })();
    // JupyterLab takes arrows, digits and letters for itself.
    if (done || inRows) event.stopPropagation();
    if (done) event.preventDefault();
  }

  #move(by: 1 | -1): boolean {
    const episode = this.#lens.episodeOf(this.#cursor);
    const next = this.#cursor + by;
    const matches = this.#picture.matches;
    if (matches) {
      // With a filter on, the arrows walk the matching tokens.
      const all = this.#order.flatMap((e) => range(this.#lens, e)).filter((token) => matches[token]);
      const at = all.indexOf(this.#cursor);
      return this.#goto(all[at < 0 ? 0 : Math.max(0, Math.min(all.length - 1, at + by))] ?? this.#cursor);
    }
    if (next >= (this.#lens.offsets[episode] ?? 0) && next < (this.#lens.offsets[episode + 1] ?? 0))
      return this.#goto(next);
    const neighbour = this.#order[this.#order.indexOf(episode) + by];
    if (neighbour === undefined) return true;
    const tokens = range(this.#lens, neighbour);
    return this.#goto((by > 0 ? tokens[0] : tokens.at(-1)) ?? this.#cursor);
  }

  #moveEpisode(by: number): boolean {
    const episode = this.#lens.episodeOf(this.#cursor);
    const place = this.#order.indexOf(episode);
    const target = this.#order[Math.max(0, Math.min(this.#order.length - 1, place + by))];
    if (target === undefined || target === episode) return true;
    const position = this.#cursor - (this.#lens.offsets[episode] ?? 0);
    const tokens = range(this.#lens, target);
    return this.#goto(tokens[Math.min(position, tokens.length - 1)] ?? this.#cursor);
  }

  #goto(token: number): boolean {
    this.#cursor = token;
    this.#hover = undefined;
    this.#rows.point(token, this.#pinned, true);
    this.#showSide();
    this.#askAlternatives();
    const column = this.#picture.column;
    const episode = this.#lens.episodeOf(token);
    const clipped = this.#picture.clipped?.[token] ? ", clipped" : "";
    this.#readout.textContent = `${quotedText(this.#lens.textOf(token))}: ${channelOf(this.#channel).label} ${formatNumber(column[token] ?? Number.NaN)}${clipped}, episode ${episode + 1}, token ${token - (this.#lens.offsets[episode] ?? 0) + 1}`;
    return true;
  }

  /** Reads the filter's text; one that is not understood filters nothing and says why. */
  #understandFilter(): void {
    this.#filter = undefined;
    let message = "";
    if (this.#filterText.trim() !== "") {
      try {
        this.#filter = parseFilter(this.#filterText, this.#lens, Math.max(0, this.#epoch));
      } catch (error) {
        if (!(error instanceof FilterError)) throw error;
        message = `${error.message} (at ${error.at + 1})`;
      }
    }
    this.#count.classList.toggle("ps-wrong", message !== "");
    this.#count.textContent = message;
    this.#root.querySelector(".ps-filter")?.setAttribute("aria-invalid", String(message !== ""));
  }

  #arranged(): readonly number[] {
    const lens = this.#lens;
    const all = Array.from({ length: lens.episodes }, (_, episode) => episode);
    const filter = this.#filter;
    const kept = filter
      ? all.filter((episode) => range(lens, episode).some((token) => lens.mask[token] && filter(token)))
      : all;
    const column = lens.column(this.#channel, Math.max(0, this.#epoch)) ?? new Float32Array(lens.pieces.length);
    const tokens = (episode: number) => (lens.offsets[episode + 1] ?? 0) - (lens.offsets[episode] ?? 0);
    const mean = (episode: number) => episodeSum(lens, column, episode) / Math.max(1, tokens(episode));
    const by = (of: (episode: number) => number, sign: 1 | -1) => kept.sort((a, b) => sign * (of(a) - of(b)) || a - b);
    switch (this.#sort) {
      case "batch":
        return kept;
      case "score down":
        return by((episode) => lens.scores[episode] ?? 0, -1);
      case "score up":
        return by((episode) => lens.scores[episode] ?? 0, 1);
      case "channel down":
        return by(mean, -1);
      case "channel up":
        return by(mean, 1);
      case "longest":
        return by(tokens, -1);
    }
  }

  #pictured(): RowsPicture {
    const lens = this.#lens;
    const channel = channelOf(this.#channel);
    const epoch = Math.max(0, this.#epoch);
    const column = lens.column(this.#channel, epoch) ?? new Float32Array(lens.pieces.length);
    const filter = this.#filter;
    let matches: Uint8Array | undefined;
    if (filter) {
      matches = new Uint8Array(lens.pieces.length);
      for (const episode of this.#order) {
        for (const token of range(lens, episode)) matches[token] = lens.mask[token] && filter(token) ? 1 : 0;
      }
      const found = matches.reduce((sum, x) => sum + x, 0);
      this.#count.textContent = `${found} ${found === 1 ? "token" : "tokens"} in ${this.#order.length} ${this.#order.length === 1 ? "episode" : "episodes"}`;
    }
    return {
      order: this.#order,
      column,
      scale: this.#scale(channel),
      palette: new Palette(channel.kind, this.#ground),
      matches,
      clipped: this.#clips(epoch),
    };
  }

  #scale(channel: Channel): Scale {
    const known = this.#scales.get(channel.key);
    if (known) return known;
    const lens = this.#lens;
    // One scale for all epochs, so that moving the slider shows change.
    const everyEpoch = channel.key === "ratio" || channel.key === "newLogprob";
    const scale = everyEpoch
      ? scaleOf(channel, joined(lens, channel.key), repeated(lens.mask, lens.epochs))
      : scaleOf(channel, lens.column(channel.key) ?? new Float32Array(lens.pieces.length), lens.mask);
    this.#scales.set(channel.key, scale);
    return scale;
  }

  #clips(epoch: number): Uint8Array | undefined {
    const known = this.#clipped.get(epoch) ?? clipFlags(this.#lens, epoch);
    if (known) this.#clipped.set(epoch, known);
    return known;
  }

  #repaint(): void {
    this.#picture = this.#pictured();
    const channel = channelOf(this.#channel);
    for (const [key, button] of this.#buttons) button.setAttribute("aria-pressed", String(key === this.#channel));
    this.#legend.show(this.#picture.scale, this.#picture.palette, this.#picture.column, this.#lens.mask);
    this.#explains.textContent = channel.explains;
    this.#rows.show(this.#picture);
    for (const row of this.#minibatches.rows) row.toggleAttribute("data-on", Number(row.dataset.epoch) === this.#epoch);
    this.#paintSide();
  }

  #paintSide(): void {
    if (this.#lens.pieces.length === 0) return;
    const token = this.#pinned ?? this.#hover ?? this.#cursor;
    this.#side.show(token, this.#picture, channelOf(this.#channel), Math.max(0, this.#epoch), token === this.#pinned);
    this.#side.showAlternatives(this.#alternatives.get(token), token);
    this.#legend.point(this.#picture.column[token]);
  }

  #ask(): void {
    const token = this.#pinned ?? this.#cursor;
    if (!this.#lens.alternatives || this.#alternatives.has(token)) return;
    this.#model.send({ type: "alternatives", token });
  }

  readonly #received = (message: unknown): void => {
    const { type, token, alternatives, error } = (message ?? {}) as Record<string, unknown>;
    if (type !== "alternatives" || typeof token !== "number") return;
    this.#alternatives.set(token, Array.isArray(alternatives) ? (alternatives as Alternative[]) : String(error));
    this.#paintSide();
  };

  #store(): void {
    this.#model.set("choices", {
      channel: this.#channel,
      sort: this.#sort,
      filter: this.#filterText,
      ...(this.#epoch >= 0 ? { epoch: this.#epoch } : {}),
      ...(this.#pinned === undefined ? {} : { pinned: this.#pinned }),
    } satisfies LensChoices);
    this.#model.save_changes();
  }

  /** The token of the first few episodes that the channel marks most: where a newcomer should look first. */
  #strongest(): number {
    const { column, scale } = this.#picture;
    let best = 0;
    let most = -1;
    for (const episode of this.#order.slice(0, 5)) {
      for (const token of range(this.#lens, episode)) {
        const distance = Math.abs((column[token] ?? 0) - scale.channel.center);
        if (this.#lens.mask[token] && distance > most) {
          most = distance;
          best = token;
        }
      }
    }
    return best;
  }
}

function range(lens: Lens, episode: number): number[] {
  const from = lens.offsets[episode] ?? 0;
  return Array.from({ length: (lens.offsets[episode + 1] ?? 0) - from }, (_, i) => from + i);
}

function joined(lens: Lens, key: ChannelKey): Float32Array {
  const total = lens.pieces.length;
  const all = new Float32Array(total * lens.epochs);
  for (let epoch = 0; epoch < lens.epochs; epoch++) all.set(lens.column(key, epoch) ?? [], epoch * total);
  return all;
}

function repeated(mask: Uint8Array, times: number): Uint8Array {
  const all = new Uint8Array(mask.length * times);
  for (let i = 0; i < times; i++) all.set(mask, i * mask.length);
  return all;
}

function shortFingerprint(fingerprint: string): string {
  const plain = fingerprint.replace(/^[a-z0-9]+:/i, "");
  return plain.length > 12 ? `${plain.slice(0, 4)}·${plain.slice(4, 8)}` : plain;
}

function trimmed(x: number): string {
  return x !== 0 && Math.abs(x) < 1e-3
    ? x.toExponential().replace("-", "−")
    : String(Number(x.toPrecision(6))).replace("-", "−");
}
