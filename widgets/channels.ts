/** A number that every token can have, in the order of the keys 1 to 9. */
export type ChannelKey =
  | "logprob"
  | "refLogprob"
  | "kl"
  | "reward"
  | "value"
  | "advantage"
  | "return"
  | "ratio"
  | "newLogprob";

/** How a channel is named, explained and coloured. */
export interface Channel {
  readonly key: ChannelKey;
  /** As it stands on its button. */
  readonly label: string;
  readonly unit: string;
  /** One sentence for someone who has read about PPO and never seen inside. */
  readonly explains: string;
  /** Diverging channels have a fixed point of meaning (`center`); sequential ones run from there to one side. */
  readonly kind: "diverging" | "sequential";
  readonly center: number;
  /** What has to be called before a value has this channel. */
  readonly from: string;
  /** Other spellings that the filter understands. */
  readonly aliases: readonly string[];
}

/** All channels, in the order of their keys on the keyboard. */
export const channels: readonly Channel[] = [
  {
    key: "logprob",
    label: "log-prob",
    unit: "nats",
    explains: "how likely the policy thought the token was; 0 is certain, the further below the more surprising",
    kind: "sequential",
    center: 0,
    from: "rollout",
    aliases: ["logprobs", "lp"],
  },
  {
    key: "refLogprob",
    label: "reference",
    unit: "nats",
    explains: "how likely the frozen reference model thinks the same token is",
    kind: "sequential",
    center: 0,
    from: "score",
    aliases: ["reflogprobs", "reference", "ref"],
  },
  {
    key: "kl",
    label: "KL",
    unit: "nats per token",
    explains: "how far the policy has moved from the reference at this token",
    kind: "diverging",
    center: 0,
    from: "score",
    aliases: [],
  },
  {
    key: "reward",
    label: "reward",
    unit: "per token",
    explains: "the price of the KL at every token, and the episode's score on its last one",
    kind: "diverging",
    center: 0,
    from: "score",
    aliases: ["rewards"],
  },
  {
    key: "value",
    label: "value",
    unit: "of reward to come",
    explains: "what the value head expects the rest of the episode to bring",
    kind: "diverging",
    center: 0,
    from: "score",
    aliases: ["values"],
  },
  {
    key: "advantage",
    label: "advantage",
    unit: "standard deviations",
    explains:
      "how much better than expected it went from here; orange tokens are made likelier, purple ones less likely",
    kind: "diverging",
    center: 0,
    from: "advantage",
    aliases: ["advantages", "adv"],
  },
  {
    key: "return",
    label: "return",
    unit: "of reward to come",
    explains: "what the rest of the episode brought: the value head's target",
    kind: "diverging",
    center: 0,
    from: "advantage",
    aliases: ["returns", "ret"],
  },
  {
    key: "ratio",
    label: "ratio",
    unit: "new / old probability",
    explains: "how much likelier the token has become during the update; underlined where the clip stops it",
    kind: "diverging",
    center: 1,
    from: "update",
    aliases: ["ratios"],
  },
  {
    key: "newLogprob",
    label: "new log-prob",
    unit: "nats",
    explains: "how likely the policy thinks the token is in the chosen epoch of the update",
    kind: "sequential",
    center: 0,
    from: "update",
    aliases: ["newlogprobs", "new"],
  },
];

const byKey = new Map(channels.map((channel) => [channel.key, channel]));

/** The channel with this key. */
export function channelOf(key: ChannelKey): Channel {
  const channel = byKey.get(key);
  if (!channel) throw new RangeError(`there is no channel ${key}: one of ${[...byKey.keys()].join(", ")}`);
  return channel;
}

/** A number as the views and twins print it: a true minus sign, as many digits as its size deserves. */
export function formatNumber(x: number, digits = 3): string {
  if (Number.isNaN(x)) return "NaN";
  if (!Number.isFinite(x)) return x > 0 ? "∞" : "−∞";
  const size = Math.abs(x);
  const text =
    digits >= 3 && size !== 0 && size < 0.5 * 10 ** -digits
      ? size.toExponential(1)
      : size >= 10_000
        ? size.toPrecision(5)
        : size.toFixed(size >= 100 ? Math.min(1, digits) : digits);
  return x < 0 && Number(text) !== 0 ? `−${text}` : text;
}
