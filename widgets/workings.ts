import { type ChannelKey, formatNumber } from "./channels.js";
import { isClipped, type Lens } from "./lens.js";

/** How a number of a token came about, written with its own numbers. */
export interface Working {
  /** Left of the equals sign. */
  readonly name: string;
  /** In names. */
  readonly formula: string;
  /** The same in numbers, result last. */
  readonly numbers: string;
}

/**
 * The arithmetic behind a channel at a token, as far as the value has the parts. `setting` numbers come from the lens;
 * formulas are those of PPO's reward shaping and of generalised advantage estimation (Schulman et al. 2016, eq. 11-12).
 */
export function workings(lens: Lens, token: number, key: ChannelKey, epoch = 0): readonly Working[] {
  const f = (x: number) => formatNumber(x);
  const signed = (x: number) => (x < 0 ? `(${f(x)})` : f(x));
  const at = (channel: ChannelKey) => lens.column(channel, epoch)?.[token];
  const logprob = at("logprob") ?? Number.NaN;
  switch (key) {
    case "logprob":
      return [
        {
          name: "probability",
          formula: "exp(log-prob)",
          numbers: `e^${signed(logprob)} = ${percent(Math.exp(logprob))}`,
        },
      ];
    case "newLogprob": {
      const now = at("newLogprob");
      if (now === undefined) return [];
      return [
        { name: "probability", formula: "exp(new log-prob)", numbers: `e^${signed(now)} = ${percent(Math.exp(now))}` },
      ];
    }
    case "refLogprob": {
      const ref = at("refLogprob");
      if (ref === undefined) return [];
      return [
        { name: "probability", formula: "exp(reference)", numbers: `e^${signed(ref)} = ${percent(Math.exp(ref))}` },
      ];
    }
    case "kl": {
      const [kl, ref] = [at("kl"), at("refLogprob")];
      if (kl === undefined || ref === undefined) return [];
      const difference = {
        name: "difference",
        formula: "log-prob − reference",
        numbers: `${f(logprob)} − ${signed(ref)} = ${f(logprob - ref)}`,
      };
      return Math.abs(logprob - ref - kl) < 1e-3 ? [{ ...difference, name: "KL" }] : [difference];
    }
    case "reward": {
      const [reward, kl] = [at("reward"), at("kl")];
      const coefficient = lens.settings.find(([name]) => name === "KL coefficient")?.[1];
      if (reward === undefined || kl === undefined || typeof coefficient !== "number") return [];
      const price = -coefficient * kl;
      const rest = reward - price;
      if (Math.abs(rest) < 1e-4 * Math.max(1, Math.abs(reward))) {
        return [
          {
            name: "reward",
            formula: "−coefficient × KL",
            numbers: `−${constant(coefficient)} × ${signed(kl)} = ${f(reward)}`,
          },
        ];
      }
      return [
        {
          name: "reward",
          formula: "−coefficient × KL + score",
          numbers: `−${constant(coefficient)} × ${signed(kl)} + ${signed(rest)} = ${f(reward)}`,
        },
      ];
    }
    case "value":
    case "advantage":
    case "return":
      return advantageWorkings(lens, token, key, f, signed);
    case "ratio": {
      const [now, ratio, advantage] = [at("newLogprob"), at("ratio"), at("advantage")];
      if (now === undefined || ratio === undefined || advantage === undefined) return [];
      const low = 1 - lens.clipRange;
      const high = 1 + lens.clipRange;
      return [
        {
          name: "ratio",
          formula: "exp(new − old log-prob)",
          numbers: `e^(${f(now)} − ${signed(logprob)}) = ${f(ratio)}`,
        },
        {
          name: "clip",
          formula: `stays in ${constant(low)} … ${constant(high)}`,
          numbers: isClipped(ratio, advantage, lens.clipRange)
            ? advantage > 0
              ? `over ${constant(high)} and pushed up: no gradient`
              : `under ${constant(low)} and pushed down: no gradient`
            : "not clipped: the gradient flows",
        },
      ];
    }
  }
}

function advantageWorkings(
  lens: Lens,
  token: number,
  key: "value" | "advantage" | "return",
  f: (x: number) => string,
  signed: (x: number) => string,
): Working[] {
  const values = lens.column("value");
  const rewards = lens.column("reward");
  if (!values || !rewards) return [];
  const end = lens.offsets[lens.episodeOf(token) + 1] ?? 0;
  const following = token + 1;
  const hasNext = following < end && lens.mask[following] === 1;
  const next = hasNext ? (values[following] ?? 0) : 0;
  const [value, reward] = [values[token] ?? 0, rewards[token] ?? 0];
  const surprise: Working = {
    name: "surprise δ",
    formula: "reward + γ · next value − value",
    numbers: `${f(reward)} + ${constant(lens.gamma)} × ${signed(next)} − ${signed(value)} = ${f(reward + lens.gamma * next - value)}`,
  };
  if (key === "value") return [surprise];
  const returns = lens.column("return");
  const advantages = lens.column("advantage");
  if (!returns || !advantages) return [surprise];
  const raw = (returns[token] ?? 0) - value;
  const rawNext = hasNext ? (returns[following] ?? 0) - next : 0;
  const decay = lens.gamma * lens.gaeLambda;
  const delta = reward + lens.gamma * next - value;
  // With whitened rewards the shown rewards are not the ones that the estimate saw.
  if (Math.abs(delta + decay * rawNext - raw) > 1e-3 * Math.max(1, Math.abs(raw))) return [];
  const gae: Working = {
    name: "advantage, raw",
    formula: "δ + γλ · next advantage",
    numbers: `${f(delta)} + ${constant(decay)} × ${signed(rawNext)} = ${f(raw)}`,
  };
  if (key === "return") {
    return [
      surprise,
      gae,
      {
        name: "return",
        formula: "raw advantage + value",
        numbers: `${f(raw)} + ${signed(value)} = ${f(returns[token] ?? 0)}`,
      },
    ];
  }
  return [
    surprise,
    gae,
    { name: "advantage", formula: "whitened over the batch", numbers: `${f(raw)} → ${f(advantages[token] ?? 0)}` },
  ];
}

function constant(x: number): string {
  return String(Number(x.toPrecision(4)));
}

function percent(p: number): string {
  return p >= 0.1
    ? `${(p * 100).toFixed(0)}%`
    : p >= 0.001
      ? `${(p * 100).toFixed(1)}%`
      : `${(p * 100).toPrecision(1)}%`;
}
