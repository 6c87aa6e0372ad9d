import { type Ink, showable } from "../display.js";
import type { Held } from "../state/timeline.js";
import type { Updated } from "./stages.js";
import type { Stats } from "./trlStats.js";

/** One step that a trainer took. */
export interface HistoryEntry {
  /** The step; after it the trainer stood at `step + 1`. */
  readonly step: number;
  readonly stats: Stats;
  /** Fingerprint of the parameters after the step. */
  readonly parameters: string;
  /** Where the parameters after the step are; those that were dropped cannot be gone back to. */
  readonly held: Held;
  /** The whole result, for the steps taken in this process. */
  readonly updated?: Updated;
}

/** The steps of a trainer, oldest first, as they are now; goes on as the trainer does. */
export interface History extends Iterable<HistoryEntry> {
  /** Identity of the trainer. */
  readonly trainer: string;
  readonly entries: readonly HistoryEntry[];
  readonly length: number;
  /** One metric over the steps; NaN where a step does not have it. */
  metric(name: string): number[];
  /** Calls `listener` after every change, until the returned function is called. */
  subscribe(listener: () => void): () => void;
  /** True while a `run` of the trainer goes on. */
  readonly running: boolean;
  /** Ends a `run` of the trainer after the step in progress. */
  stop(): void;
}

/** What a history looks at. */
export interface HistorySource {
  readonly trainer: string;
  entries(): readonly HistoryEntry[];
  subscribe(listener: () => void): () => void;
  running(): boolean;
  stop(): void;
}

/** A live view of a trainer's steps. */
export function historyOf(source: HistorySource): History {
  const history: History = {
    trainer: source.trainer,
    get entries() {
      return source.entries();
    },
    get length() {
      return source.entries().length;
    },
    [Symbol.iterator]: () => source.entries()[Symbol.iterator](),
    metric: (name) =>
      source.entries().map(({ stats }) => {
        const value = stats[name];
        return typeof value === "number" ? value : Number.NaN;
      }),
    subscribe: (listener) => source.subscribe(listener),
    get running() {
      return source.running();
    },
    stop: () => source.stop(),
  };
  return Object.freeze(showable(history, historyText));
}

function historyText(history: History, ink: Ink): string {
  const columns: readonly [string, string][] = [
    ["score", "ppo/mean_scores"],
    ["KL", "objective/kl"],
    ["KL coef", "objective/kl_coef"],
    ["policy loss", "ppo/loss/policy"],
    ["value loss", "ppo/loss/value"],
    ["entropy", "ppo/policy/entropy"],
    ["clipped", "ppo/policy/clipfrac"],
  ];
  const { entries } = history;
  const lines = [
    `${ink.bold("History")}: ${entries.length} steps`,
    ink.dim(`   step ${columns.map(([title]) => title.padStart(11)).join(" ")}`),
  ];
  const shown = entries.slice(-20);
  if (shown.length < entries.length) lines.push(ink.dim(`    ... ${entries.length - shown.length} earlier steps`));
  for (const { step, stats } of shown) {
    const cells = columns.map(([, name]) => {
      const value = stats[name];
      return (typeof value === "number" ? value.toFixed(4) : "").padStart(11);
    });
    lines.push(`  ${String(step).padStart(5)} ${cells.join(" ")}`);
  }
  return lines.join("\n");
}
