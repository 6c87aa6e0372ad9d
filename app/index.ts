/**
 * policyscope: RLHF trainers as instruments. This is the package's entry; in a notebook it also teaches the values of
 * the trainers to show themselves as widgets.
 */
import { setPresenter } from "../src/display.js";
import { trainerOf } from "../src/trainers/ppo.js";
import type { PPOStage } from "../src/trainers/stages.js";
import type { Comms } from "../widgets/models.js";
import { canPresent, present, presentStatic } from "../widgets/present.js";

export { type Dataset, dataset } from "../src/data/dataset.js";
export { loadDataset } from "../src/data/loadDataset.js";
export { loadModel } from "../src/models/load.js";
export type { CausalLM } from "../src/models/model.js";
export { saveModel } from "../src/models/save.js";
export type { Tokenizer } from "../src/models/tokenizer.js";
export * as rewards from "../src/rewards/rewards.js";
export type { Tensor } from "../src/tensor.js";
export type { PPOConfig } from "../src/trainers/config.js";
export { PPOTrainer } from "../src/trainers/ppo.js";
export type { Episodes, RewardFunction } from "../src/trainers/reward.js";
export type { Advantaged, MinibatchResult, PPOStage, Rollout, Scored, Updated } from "../src/trainers/stages.js";
export { pullShowing as pull } from "./pull.js";

setPresenter((value) => {
  if (!canPresent(value)) return undefined;
  const comms = notebookComms();
  return comms ? present(value, comms, { alternatives }) : presentStatic(value);
});

/** Asked for from a view, so no running cell's interrupt is meant. */
async function alternatives(value: PPOStage, episode: number, position: number) {
  const trainer = trainerOf(value);
  if (!trainer) throw new Error("its trainer is no longer there");
  return trainer.alternatives(value, episode, position, { signal: new AbortController().signal });
}

/** The comms of the notebook kernel that this runs in, if it does. */
function notebookComms(): Comms | undefined {
  const { Jupyter } = globalThis as { Jupyter?: { readonly comms?: Comms } };
  return Jupyter?.comms;
}
