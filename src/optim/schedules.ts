/** Learning-rate schedules: factors on the base learning rate at each optimizer step, with transformers' formulas. */

/** Keys of {@link schedule}, in transformers' meaning. */
export interface ScheduleOptions {
  readonly name:
    | "constant"
    | "constant_with_warmup"
    | "linear"
    | "cosine"
    | "cosine_with_restarts"
    | "polynomial"
    | "inverse_sqrt"
    | "cosine_with_min_lr"
    | "cosine_warmup_with_min_lr"
    | "warmup_stable_decay";
  readonly baseLr: number;
  readonly warmupSteps: number;
  readonly totalSteps: number;
  /** Half waves of a cosine (0.5 is one descent), or restarts of `cosine_with_restarts` (1). */
  readonly numCycles?: number;
  /** `polynomial` */
  readonly power?: number;
  readonly lrEnd?: number;
  /** `inverse_sqrt`; default the warm-up steps, or 10000 without any. */
  readonly timescale?: number;
  /** Smallest learning rate, or its ratio to the base. */
  readonly minLr?: number;
  readonly minLrRate?: number;
  /** Where `cosine_warmup_with_min_lr` starts, as a ratio to the base. */
  readonly warmupLrRate?: number;
  /** `warmup_stable_decay` */
  readonly numStableSteps?: number;
  readonly numDecaySteps?: number;
  readonly minLrRatio?: number;
  readonly warmupType?: "linear" | "cosine" | "1-sqrt";
  readonly decayType?: "linear" | "cosine" | "1-sqrt";
}

/** Warm-up steps from a ratio of all steps, rounded up as transformers does. */
export function warmupSteps(ratio: number, totalSteps: number): number {
  return Math.ceil(totalSteps * ratio);
}

/** The learning rate at optimizer step `t` (the first is 0). Source: transformers/optimization.py. */
export function schedule(options: ScheduleOptions): (t: number) => number {
  const { baseLr, warmupSteps: warmup, totalSteps: total } = options;
  const progress = (t: number): number => (t - warmup) / Math.max(1, total - warmup);
  const warmed =
    (after: (t: number) => number) =>
    (t: number): number =>
      baseLr * (t < warmup ? t / Math.max(1, warmup) : after(t));
  const cosine = (x: number, cycles: number): number => 0.5 * (1 + Math.cos(Math.PI * cycles * 2 * x));
  const minRate = options.minLrRate ?? (options.minLr ?? 0) / baseLr;
  const numCycles = options.numCycles ?? 0.5;
  switch (options.name) {
    case "constant":
      return () => baseLr;
    case "constant_with_warmup":
      return warmed(() => 1);
    case "linear":
      return warmed((t) => Math.max(0, (total - t) / Math.max(1, total - warmup)));
    case "cosine":
      return warmed((t) => Math.max(0, cosine(progress(t), numCycles)));
    case "cosine_with_restarts": {
      const restarts = options.numCycles ?? 1;
      return warmed((t) =>
        progress(t) >= 1 ? 0 : Math.max(0, 0.5 * (1 + Math.cos(Math.PI * ((restarts * progress(t)) % 1)))),
      );
    }
    case "polynomial": {
      const { power = 1, lrEnd = 1e-7 } = options;
      return warmed((t) =>
        t > total
          ? lrEnd / baseLr
          : ((baseLr - lrEnd) * (1 - (t - warmup) / (total - warmup)) ** power + lrEnd) / baseLr,
      );
    }
    case "inverse_sqrt": {
      const timescale = options.timescale ?? (warmup > 0 ? warmup : 10_000);
      return warmed((t) => 1 / Math.sqrt((t + timescale - warmup) / timescale));
    }
    case "cosine_with_min_lr":
      return warmed((t) => Math.max(0, cosine(progress(t), numCycles) * (1 - minRate) + minRate));
    case "cosine_warmup_with_min_lr": {
      const start = options.warmupLrRate;
      return (t) => {
        if (t < warmup) {
          return (
            baseLr *
            (start === undefined ? t / Math.max(1, warmup) : start + ((1 - start) * t) / Math.max(1, warmup - 1))
          );
        }
        const x = (t - warmup + 1) / Math.max(1, total - warmup);
        return baseLr * Math.max(0, cosine(x, numCycles) * (1 - minRate) + minRate);
      };
    }
    case "warmup_stable_decay": {
      const { minLrRatio = 0, warmupType = "linear", decayType = "cosine", numDecaySteps = 0 } = options;
      const stable = options.numStableSteps ?? total - warmup - numDecaySteps;
      const descent = (x: number, type: string): number =>
        type === "linear" ? 1 - x : type === "1-sqrt" ? 1 - Math.sqrt(x) : cosine(x, numCycles);
      const ascent = (x: number): number =>
        warmupType === "linear"
          ? x
          : warmupType === "1-sqrt"
            ? 1 - Math.sqrt(1 - x)
            : 0.5 * (1 - Math.cos(Math.PI * x));
      const floored = (factor: number): number => Math.max(0, factor * (1 - minLrRatio) + minLrRatio);
      return (t) => {
        if (t < warmup) return baseLr * floored(ascent(t / Math.max(1, warmup)));
        if (t < warmup + stable) return baseLr;
        if (t < warmup + stable + numDecaySteps) {
          return baseLr * floored(descent((t - warmup - stable) / Math.max(1, numDecaySteps), decayType));
        }
        return baseLr * minLrRatio;
      };
    }
  }
}
