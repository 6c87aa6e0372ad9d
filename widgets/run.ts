/** A training run as the dashboard needs it (a trainer's history is one): a growing list of steps that tells when it has grown. */
export interface Run {
  /** Steps in order, with their metrics in the names of the dialect. */
  readonly entries: readonly RunStep[];
  /** True while a loop is going on that {@link stop} would end. */
  readonly running?: boolean;
  /** Calls `changed` whenever steps or `running` change, until the returned function is called. */
  subscribe?(changed: () => void): () => void;
  /** Ends the loop after the step that it is in. */
  stop?(): void;
}

/** One step's metrics. */
export interface RunStep {
  readonly step: number;
  readonly stats: Readonly<Record<string, number | readonly number[]>>;
}

/** The widget state of a dashboard. */
export interface DashState {
  readonly run: { readonly names: readonly string[]; readonly running: boolean; readonly canStop: boolean };
  /** [n] */
  readonly steps: Int32Array;
  /** [names, n] NaN where a step lacks the metric. */
  readonly series: Float32Array;
}

/** Packs a run: every metric that is a number in any step becomes one row. */
export function packRun(run: Run): DashState {
  const names: string[] = [];
  const places = new Map<string, number>();
  for (const { stats } of run.entries) {
    for (const [name, value] of Object.entries(stats)) {
      if (typeof value === "number" && !places.has(name)) places.set(name, names.push(name) - 1);
    }
  }
  const n = run.entries.length;
  const series = new Float32Array(names.length * n).fill(Number.NaN);
  run.entries.forEach(({ stats }, i) => {
    for (const [name, value] of Object.entries(stats)) {
      const place = places.get(name);
      if (typeof value === "number" && place !== undefined) series[place * n + i] = value;
    }
  });
  return {
    run: { names, running: run.running ?? false, canStop: run.stop !== undefined },
    steps: Int32Array.from(run.entries, ({ step }) => step),
    series,
  };
}

/** One chart of the dashboard. */
export interface Panel {
  readonly title: string;
  readonly explains: string;
  readonly lines: readonly { readonly name: string; readonly label: string }[];
  /** A metric that is drawn as a band of plus and minus itself around the first line. */
  readonly band?: string;
}

interface PanelRule {
  readonly title: string;
  readonly explains: string;
  readonly lines: readonly (readonly [RegExp, string])[];
  readonly band?: RegExp;
}

// Names differ between the dialects; each rule takes the first metric that fits each of its lines.
const rules: readonly PanelRule[] = [
  {
    title: "Score",
    explains: "the reward function's judgement of the episodes, mean over the batch; this is what should rise",
    lines: [
      [/^(ppo\/mean_scores|objective\/scores|scores?(\/mean)?|rewards?(\/mean)?|env\/reward_mean)$/, "mean score"],
    ],
    band: /^(ppo\/std_scores|scores?\/std|rewards?\/std|reward_std)$/,
  },
  {
    title: "KL from the reference",
    explains: "nats per episode: how far the policy has moved from the reference; the price of the score",
    lines: [[/^(objective\/kl|kl(\/mean)?)$/, "KL"]],
  },
  {
    title: "Losses",
    explains: "mean over the mini-batches of a step; they need not fall for the score to rise",
    lines: [
      [/^(ppo\/loss\/policy|loss\/policy(_avg)?|actor\/pg_loss|policy_loss)$/, "policy"],
      [/^(ppo\/loss\/value|loss\/value(_avg)?|critic\/vf_loss|value_loss)$/, "value"],
      [/^(ppo\/loss\/total|loss|train\/loss|eval\/loss)$/, "total"],
    ],
  },
  {
    title: "Clip fraction",
    explains: "share of tokens that the clip stops; near 0 the steps are small, above 0.3 they are too large",
    lines: [
      [/^(ppo\/policy\/clipfrac|policy\/clipfrac(_avg)?|actor\/pg_clipfrac|clip_ratio)$/, "policy"],
      [/^(ppo\/val\/clipfrac|val\/clipfrac(_avg)?|critic\/vf_clipfrac)$/, "value"],
    ],
  },
  {
    title: "Entropy",
    explains: "how undecided the policy is; a fall to near zero means it always writes the same",
    lines: [[/^(ppo\/policy\/entropy|policy\/entropy(_avg)?|actor\/entropy(_loss)?|entropy)$/, "per token"]],
  },
  {
    title: "Approximate KL of the update",
    explains: "how far one update moves the policy from the one that wrote the episodes",
    lines: [[/^(ppo\/policy\/approxkl|policy\/approxkl(_avg)?|actor\/ppo_kl)$/, "approx. KL"]],
  },
  {
    title: "KL coefficient",
    explains: "the price of one nat; it follows the KL's target where it is adaptive",
    lines: [[/^(objective\/kl_coef|kl_coef|beta)$/, "coefficient"]],
  },
  {
    title: "Response length",
    explains: "tokens per response, mean over the batch",
    lines: [[/^(tokens\/responses_len_mean|response_length(\/mean)?|completions\/mean_length)$/, "tokens"]],
  },
];

/** The charts that a run's metrics can fill. A run with none of the known names gets one chart per metric, up to eight. */
export function panelsOf(names: readonly string[]): readonly Panel[] {
  const found = rules.flatMap(({ title, explains, lines, band }): Panel[] => {
    const there = lines.flatMap(([pattern, label]) => {
      const name = names.find((candidate) => pattern.test(candidate));
      return name === undefined ? [] : [{ name, label }];
    });
    if (there.length === 0) return [];
    const around = band && names.find((candidate) => band.test(candidate));
    return [{ title, explains, lines: there, ...(around === undefined ? {} : { band: around }) }];
  });
  if (found.length > 0) return found;
  return names.slice(0, 8).map((name) => ({ title: name, explains: "", lines: [{ name, label: name }] }));
}

/** A run's metrics as the view and the static twin read them. */
export interface Dash {
  readonly names: readonly string[];
  readonly running: boolean;
  readonly canStop: boolean;
  /** [n] */
  readonly steps: Int32Array;
  /** One metric over the steps, [n]. */
  metric(name: string): Float32Array | undefined;
}

/** A dashboard over packed state. */
export function openDash({ run, steps, series }: DashState): Dash {
  const n = steps.length;
  return {
    ...run,
    steps,
    metric(name) {
      const place = run.names.indexOf(name);
      return place < 0 ? undefined : series.subarray(place * n, (place + 1) * n);
    },
  };
}
