import type { Ink } from "../display.js";
import { type CausalLM, countParameters } from "../models/model.js";
import type { Held } from "../state/timeline.js";
import type { Params } from "../tensor.js";
import type { PPOConfig } from "./config.js";

/** What there is to say of a trainer. */
export interface TrainerFacts {
  readonly id: string;
  readonly config: PPOConfig;
  readonly policyName: string;
  readonly policy: Params;
  readonly m: Params;
  readonly v: Params;
  readonly reference: CausalLM;
  readonly rewardName: string;
  readonly optimizerName: string;
  readonly engineName: string;
  readonly state: {
    readonly step: number;
    readonly klCoef: number;
    readonly optimizerSteps: number;
    readonly parameters: string;
  };
  /** Where the tensors of earlier states are. */
  readonly held: readonly Held[];
}

/** A trainer as text: what really runs, where it stands, what it holds. */
export function trainerText(facts: TrainerFacts, ink: Ink): string {
  const { config, policy, reference, m, v, state, held } = facts;
  const shared = reference.params === policy;
  const mib = (...groups: Params[]): string =>
    `${(groups.reduce((sum, group) => sum + countParameters(group), 0) / 2 ** 18).toFixed(0)} MiB`;
  const count = (where: Held): number => held.filter((one) => one === where).length;
  const settings = Object.entries(config).map(([key, value]) => `${key} ${JSON.stringify(value)}`);
  return [
    `${ink.bold("PPOTrainer")} ${facts.id}, dialect ${config.dialect}, after ${state.step} steps`,
    `  policy     ${facts.policyName}, ${(countParameters(policy) / 1e6).toFixed(2)} M parameters, ${state.parameters.slice(0, 8)}`,
    `  reference  ${reference.name}, ${shared ? "the policy's own parameters" : reference.fingerprint.slice(0, 8)}`,
    `  reward     ${facts.rewardName}`,
    `  optimizer  ${facts.optimizerName}, ${state.optimizerSteps} steps taken`,
    `  engine     ${facts.engineName}`,
    `  KL coef    ${state.klCoef.toPrecision(6)}${config.adaptiveKl ? ", adaptive" : ", fixed"}`,
    `  memory     parameters ${mib(policy)}, optimizer ${mib(m, v)}, reference ${shared ? "shared" : mib(reference.params)}`,
    `  history    ${held.length} steps back (${count("memory")} in memory, ${count("disk")} on disk, ${count("dropped")} dropped)`,
    ink.dim(`  config     ${settings.join(", ")}`),
  ].join("\n");
}
