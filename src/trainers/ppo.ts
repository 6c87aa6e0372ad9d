/**
 * Proximal policy optimisation of a language model, one stage at a time: `rollout`, `score`, `advantage`, `update`.
 * Sources: Ziegler et al. 2019, "Fine-Tuning Language Models from Human Preferences"; `PPOTrainer` of TRL 0.11.4, whose
 * arithmetic and metrics the dialect `trl-0.11` reproduces.
 */
import { randomUUID } from "node:crypto";
import { bundleOf, displaySymbol, type Ink } from "../display.js";
import type { Engine } from "../engine/engine.js";
import { ortEngine } from "../engine/ort.js";
import { type ProgramCache, programCache } from "../engine/programCache.js";
import { fingerprint } from "../fingerprint.js";
import { type CausalLM, withParams, withValueHead } from "../models/model.js";
import { type AdamState, adam, adamW } from "../optim/adam.js";
import { addGradients, clipByGlobalNorm, type Gradients, globalNorm, type Optimizer } from "../optim/optimizer.js";
import { stream } from "../random.js";
import { advantagesAndReturns } from "../rl/gae.js";
import { adaptKlCoef, klPenalty } from "../rl/kl.js";
import { noMoments, type RunningMoments, tokenRewards } from "../rl/rewards.js";
import { rawFiles } from "../state/rawFile.js";
import { Timeline, type TimelineOptions } from "../state/timeline.js";
import { float32, type Params, type Tensor } from "../tensor.js";
import { type Alternative, likeliestTokens } from "./alternatives.js";
import { type Checkpoint, readCheckpoint, writeCheckpoint } from "./checkpoint.js";
import { checkPermutations, checkRecorded, checkTrainable, type RecordedEpisodes } from "./checks.js";
import type { PPOConfig } from "./config.js";
import { configure, type PPOConfigInput } from "./configure.js";
import { unpadded, widest } from "./episodes.js";
import { TrainerError } from "./errors.js";
import { Evaluation } from "./evaluation.js";
import { type History, type HistoryEntry, historyOf } from "./history.js";
import { signalOf } from "./interrupt.js";
import { checkScores, type Judgement, judge, scaledJudgement } from "./judge.js";
import type { AdvantageOverrides, Interruptible, PPOTrainerOptions, ScoreOptions, UpdateOverrides } from "./options.js";
import { checkOptions, describe, rewardFunctionOf } from "./overrides.js";
import { encodePrompts, type Prompts, promptTexts, takeBatch } from "./prompts.js";
import type { RewardFunction } from "./reward.js";
import { sample } from "./sample.js";
import { checkStage, seal } from "./seal.js";
import { sealRollout } from "./sealRollout.js";
import type { Advantaged, MinibatchResult, PPOStage, Rollout, Scored, Updated } from "./stages.js";
import { trainerText } from "./trainerText.js";
import { trainingPass } from "./trainingPass.js";
import { episodeKl, type Stats, stepStats } from "./trlStats.js";
import { WorkingState } from "./workingState.js";

/** The small part of a trainer's state: plain data. */
interface PPOState {
  /** Steps taken. */
  step: number;
  klCoef: number;
  moments: RunningMoments;
  /** Optimizer steps taken. */
  optimizerSteps: number;
  /** Fingerprint of the policy's parameters. */
  parameters: string;
  /** Metrics of the step that led here. */
  stats: Stats | null;
}

/** What stands behind every trainer and its forks. */
interface Setting {
  readonly id: string;
  /** This trainer and those it was forked from, with their configurations. */
  readonly lineage: ReadonlyMap<string, PPOConfig>;
  readonly config: PPOConfig;
  readonly policy: CausalLM;
  readonly reference: CausalLM;
  readonly reward: RewardFunction | undefined;
  readonly prompts: Prompts | undefined;
  readonly engine: Engine;
  readonly programs: ProgramCache;
  readonly history: Pick<TimelineOptions, "memoryBytes" | "diskBytes">;
  /** Steps taken before this process: they can be read about, not gone back to. */
  readonly earlier: readonly HistoryEntry[];
}

let shared: { readonly engine: Engine; readonly programs: ProgramCache } | undefined;

function defaultRuntime(): { readonly engine: Engine; readonly programs: ProgramCache } {
  if (shared === undefined) {
    const engine = ortEngine();
    shared = { engine, programs: programCache(engine, { maxEntries: 64 }) };
  }
  return shared;
}

const seconds = (since: number): number => (performance.now() - since) / 1000;

/** Trainers of this process by their identity, as long as something else holds them. */
const living = new Map<string, WeakRef<PPOTrainer>>();

/** The trainer that made a value, if it is still there. */
export function trainerOf({ trainer }: Pick<PPOStage, "trainer">): PPOTrainer | undefined {
  return living.get(trainer)?.deref();
}

/**
 * Trains a policy with PPO. Every stage takes the value of the stage before and gives a new, frozen one; only `update`
 * (with `step`, `run` and a finished `minibatches`) moves the trainer, in one synchronous commit at its end. A call that
 * throws or is interrupted leaves the trainer as it was.
 */
export class PPOTrainer {
  readonly #setting: Setting;
  readonly #timeline: Timeline<PPOState>;
  readonly #evaluation: Evaluation;
  readonly #optimizer: Optimizer<AdamState>;
  /** Results by the timeline's position. */
  readonly #updates: (Updated | undefined)[] = [undefined];
  /** Seconds that a stage value took. */
  readonly #seconds = new WeakMap<
    object,
    { readonly forward?: number; readonly rewards?: number; readonly advantages?: number }
  >();
  readonly #listeners = new Set<() => void>();
  readonly #warned = new Set<string>();
  #stopping = false;
  /** How many `run` loops are going on. */
  #running = 0;
  /** The steps taken so far; goes on as the trainer does. */
  readonly history: History;

  private constructor(setting: Setting, state: PPOState, tensors: { policy: Params; m: Params; v: Params }) {
    this.#setting = setting;
    this.#timeline = new Timeline<PPOState>(state, tensors, {
      ...setting.history,
      format: rawFiles(),
    });
    this.#evaluation = new Evaluation(setting.programs, setting);
    this.#optimizer = optimizerOf(setting.config);
    living.set(setting.id, new WeakRef(this));
    this.history = historyOf({
      trainer: setting.id,
      entries: () => this.#entries(),
      subscribe: (listener) => {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
      },
      running: () => this.#running > 0,
      stop: () => this.stop(),
    });
  }

  /**
   * Makes a trainer.
   * @throws ConfigError for a configuration that will not do.
   * @throws TrainerError for a policy that is no language model, or a reference with another vocabulary.
   */
  static async create(options: PPOTrainerOptions): Promise<PPOTrainer> {
    checkOptions("PPOTrainer.create", options);
    const config = configure(options.config);
    const reward = rewardFunctionOf(options.reward, "PPOTrainer.create");
    const { policy: given, reference: givenReference } = options;
    if (given?.kind !== "causal-lm") {
      throw new TrainerError(
        `policy: ${given === undefined ? "none was given" : given?.kind === "reward" ? `"${given.name}" is a reward model` : `it is ${describe(given)}`}; expected a language model, as await loadModel("tiny-reviews") gives it`,
      );
    }
    const policy = withValueHead(given, stream(config.seed, "ppo/value-head").uniform);
    // A value head of zeros: the reference's values are not used.
    const reference = givenReference === undefined ? policy : withValueHead(givenReference, () => 0.5);
    if (reference.config.vocabSize !== policy.config.vocabSize) {
      throw new TrainerError(
        `reference "${reference.name}" has a vocabulary of ${reference.config.vocabSize}, the policy "${policy.name}" one of ${policy.config.vocabSize}; both must share a tokenizer`,
      );
    }
    if (config.maxGradNorm !== null && config.clipGradOnce) {
      console.warn(
        "maxGradNorm: as in TRL 0.11, gradients are clipped at the first optimizer step of the trainer's life only; clipGradOnce: false clips them at every step",
      );
    }
    const runtime =
      options.engine === undefined
        ? defaultRuntime()
        : { engine: options.engine, programs: programCache(options.engine, { maxEntries: 64 }) };
    const id = newId();
    return new PPOTrainer(
      {
        id,
        lineage: new Map([[id, config]]),
        config,
        policy,
        reference,
        reward,
        prompts: options.prompts,
        ...runtime,
        history: options.history ?? {},
        earlier: [],
      },
      {
        step: 0,
        klCoef: config.klCoef,
        moments: noMoments,
        optimizerSteps: 0,
        parameters: policy.fingerprint,
        stats: null,
      },
      { policy: policy.params, m: new Map(), v: new Map() },
    );
  }

  /** The configuration that runs, complete. */
  get config(): PPOConfig {
    return this.#setting.config;
  }

  /** Steps taken so far. */
  get currentStep(): number {
    return this.#timeline.small.step;
  }

  /** The KL coefficient that the next step will use. */
  get klCoef(): number {
    return this.#timeline.small.klCoef;
  }

  /** The policy as it is now, as a model of its own. */
  get policy(): CausalLM {
    const { tensors } = this.#timeline.current;
    this.#timeline.escape({ policy: this.#params() });
    return withParams(this.#setting.policy, tensors.policy ?? new Map());
  }

  /** What the KL penalty measures distance from. */
  get reference(): CausalLM {
    return this.#setting.reference;
  }

  // ------------------------------------------------------------------------------------------------- the four stages

  /**
   * Lets the policy write a response to each prompt of the next batch.
   * @param prompts a data set or list of texts, from which `batchSize` are taken: all in order if there are exactly so
   * many, otherwise the next ones of an endless, seeded shuffle
   */
  async rollout(prompts?: Prompts, options: Interruptible = {}): Promise<Rollout> {
    checkOptions("rollout", options);
    const signal = signalOf(options.signal);
    const { config, policy } = this.#setting;
    const { small } = await this.#timeline.load();
    const from = prompts ?? this.#setting.prompts;
    if (from === undefined) {
      throw new TrainerError(
        "rollout: no prompts; pass some: trainer.rollout(prompts), or PPOTrainer.create({ prompts })",
      );
    }
    const texts = takeBatch(promptTexts(from), config, small.step);
    const queryIds = encodePrompts(texts, policy, config);
    const model = withParams(policy, this.#params());
    const sampled = await this.#holding(() =>
      sample(this.#setting.programs, model, queryIds, config, small.step, signal),
    );
    return sealRollout(policy, this.#provenance(small), { ...sampled, queryIds, prompts: texts });
  }

  /**
   * A rollout of responses that were written elsewhere or before; their log-probs are the policy's.
   * @throws TrainerError for an empty prompt or response, ids outside the vocabulary, or lists that do not fit together.
   */
  async rolloutOf(episodes: RecordedEpisodes, options: Interruptible = {}): Promise<Rollout> {
    checkOptions("rolloutOf", options);
    const signal = signalOf(options.signal);
    const { policy } = this.#setting;
    await this.#timeline.load();
    checkRecorded(episodes, policy.config.vocabSize, policy.config.maxPositions);
    const { queryIds, responseIds } = episodes;
    const text = (ids: readonly number[]): string =>
      policy.tokenizer.available
        ? policy.tokenizer.decode(ids, { skipSpecialTokens: true })
        : ids.map((id) => policy.tokenizer.tokenText(id)).join("");
    const eos = new Set(policy.generation.eosTokenIds);
    const { logprobs } = await this.#holding(() =>
      this.#evaluation.policy(this.#params(), { queryIds, responseIds, columns: widest(responseIds) }, signal),
    );
    return sealRollout(policy, this.#provenance(this.#timeline.small), {
      prompts: queryIds.map(text),
      queryIds,
      responseIds,
      responseMask: episodes.responseMask,
      logprobs: unpadded(
        logprobs,
        responseIds.map(({ length }) => length),
      ),
      finishReasons:
        episodes.finishReasons ?? responseIds.map((ids) => (eos.has(ids.at(-1) ?? -1) ? "stop" : "length")),
    });
  }

  /**
   * Judges a rollout: scores, the policy's and the reference's log-probs, values, the KL penalty, and the rewards they
   * make. The trainer's running moments of scores move only with the update.
   */
  async score(rollout: Rollout, overrides: ScoreOptions = {}): Promise<Scored> {
    checkOptions("score", overrides);
    const signal = signalOf(overrides.signal);
    const checked = checkStage(rollout, "rollout", "score", this.#setting.lineage);
    await this.#timeline.load();
    return this.#holding(() => this.#score(checked, overrides, signal));
  }

  async #score(checked: Rollout, overrides: ScoreOptions, signal: AbortSignal): Promise<Scored> {
    const { config, reference } = this.#setting;
    const { small } = this.#timeline;
    const params = this.#params();
    const responseIds = unpadded(checked.responseIds, checked.responseLengths);
    const columns = checked.responseIds.shape[1] ?? 0;

    const judgement = await this.#judge(checked, responseIds, overrides, signal);
    const { scores, moments, tokenScores } = scaledJudgement(judgement, small.moments, columns, config);

    const forwardStarted = performance.now();
    const kind = overrides.klPenalty ?? config.klPenalty;
    const batch = { queryIds: checked.queryIds, responseIds, columns };
    const evaluated = await this.#evaluation.both(checked.fingerprint, params, batch, signal);
    const full = kind === "full" ? await this.#evaluation.fullKl(params, batch, signal) : undefined;
    const forward = seconds(forwardStarted);

    const rewardsStarted = performance.now();
    const mask = checked.responseMask;
    const { logprobs, values } = evaluated.policy;
    const kl = kind === "full" ? (full?.data ?? []) : klPenalty(logprobs.data, evaluated.reference.logprobs.data, kind);
    const klCoef = overrides.klCoef ?? small.klCoef;
    const rewards = tokenRewards(
      kl,
      tokenScores === undefined ? scores : new Float32Array(scores.length),
      mask.data,
      klCoef,
      tokenScores?.data,
    );
    const { fingerprint: _, stale: __, ...episodes } = checked;
    const scored = seal<Scored>({
      ...episodes,
      ...this.#provenance(checked),
      stage: "scored",
      logprobs,
      refLogprobs: evaluated.reference.logprobs,
      values,
      scores: float32([scores.length], scores),
      rawScores: float32([scores.length], judgement.scores),
      ...(tokenScores === undefined ? {} : { tokenScores }),
      scoreMoments: moments,
      kl: masked(kl, mask),
      rewards: float32(mask.shape, rewards),
      klCoef,
      reference: reference.fingerprint,
      ...this.#staleness(checked, "score", "were written"),
    });
    this.#seconds.set(scored, { forward, rewards: seconds(rewardsStarted) });
    return scored;
  }

  /** Estimates advantages and returns. Pure arithmetic: no model runs. */
  async advantage(scored: Scored, overrides: AdvantageOverrides = {}): Promise<Advantaged> {
    const started = performance.now();
    checkOptions("advantage", overrides);
    const { config, lineage } = this.#setting;
    const checked = checkStage(scored, "scored", "advantage", lineage);
    const mask = checked.responseMask;
    const columns = mask.shape[1] ?? 0;
    const klCoef = overrides.klCoef ?? checked.klCoef;
    const gamma = overrides.gamma ?? config.gamma;
    if (
      overrides.lambda !== undefined &&
      overrides.gaeLambda !== undefined &&
      overrides.lambda !== overrides.gaeLambda
    ) {
      throw new TrainerError(
        `advantage: lambda is ${overrides.lambda} and gaeLambda ${overrides.gaeLambda}, and they are the same setting; give one of them`,
      );
    }
    const gaeLambda = overrides.lambda ?? overrides.gaeLambda ?? config.lambda;
    const rewards =
      klCoef === checked.klCoef
        ? checked.rewards
        : float32(
            mask.shape,
            tokenRewards(
              checked.kl.data,
              checked.tokenScores === undefined ? checked.scores.data : new Float32Array(checked.scores.data.length),
              mask.data,
              klCoef,
              checked.tokenScores?.data,
            ),
          );
    const { advantages, returns } = advantagesAndReturns(rewards.data, checked.values.data, mask.data, columns, {
      gamma,
      gaeLambda,
      whitenRewards: overrides.whitenRewards ?? config.whitenRewards,
      ...(config.whitenPadding ? { whitenedPadding: paddingAfter(checked, columns, config) } : {}),
    });
    const { fingerprint: _, ...rest } = checked;
    const advantaged = seal<Advantaged>({
      ...rest,
      trainer: this.#setting.id,
      config,
      stage: "advantaged",
      klCoef,
      rewards,
      advantages: float32(mask.shape, advantages),
      returns: float32(mask.shape, returns),
      gamma,
      gaeLambda,
    });
    this.#seconds.set(advantaged, { ...this.#seconds.get(scored), advantages: seconds(started) });
    return advantaged;
  }

  /**
   * Trains on the episodes for `ppoEpochs` epochs and moves the trainer one step on; with `dryRun` it stays.
   * @throws TrainerError if a number is not finite, naming where; the trainer then stands as before.
   */
  async update(advantaged: Advantaged, overrides: UpdateOverrides = {}): Promise<Updated> {
    const training = this.#train("update", advantaged, overrides);
    for (;;) {
      const next = await training.next();
      if (next.done) return next.value;
    }
  }

  /**
   * Walks an update mini-batch by mini-batch: each result is what stands *before* its optimizer step, which is taken
   * when the next one is asked for. Only walking to the end moves the trainer; leaving the loop changes nothing.
   */
  minibatches(
    advantaged: Advantaged,
    overrides: UpdateOverrides = {},
  ): AsyncGenerator<MinibatchResult, Updated, undefined> {
    return this.#train("minibatches", advantaged, overrides);
  }

  /**
   * What could have come at a position of a response: the likeliest tokens under the parameters that wrote it (for an
   * `Updated`, those after the update), with their probability under the reference.
   * @param episode row of the batch, from 0
   * @param position place in the response, from 0
   * @throws TrainerError when the trainer stands at other parameters, or there is no such token.
   */
  async alternatives(
    value: PPOStage,
    episode: number,
    position: number,
    { count = 6, signal: given }: { readonly count?: number } & Interruptible = {},
  ): Promise<readonly Alternative[]> {
    const { programs, policy, reference } = this.#setting;
    const { small } = await this.#timeline.load();
    if (value.parameters !== small.parameters) {
      throw new TrainerError(
        "alternatives: the policy has been updated since; trainer.undo() or trainer.goto(step) goes back to the parameters of then",
      );
    }
    const batch = value.stage === "updated" ? value.advantaged : value;
    const columns = batch.responseIds.shape[1] ?? 0;
    const query = batch.queryIds[episode];
    if (!query || !(position >= 0 && position < (batch.responseLengths[episode] ?? 0))) {
      throw new TrainerError(`alternatives: episode ${episode} has no token ${position}`);
    }
    const start = episode * columns;
    const ids = [...query, ...batch.responseIds.data.subarray(start, start + position)];
    const came = batch.responseIds.data[start + position] ?? -1;
    const model = withParams(policy, this.#params());
    return this.#holding(() =>
      likeliestTokens(programs, model, reference, ids, came, count, given ?? signalOf(undefined)),
    );
  }

  // ------------------------------------------------------------------------------------------------- loops and time

  /** One whole step: rollout, score, advantage, update. */
  async step(prompts?: Prompts, options: Interruptible = {}): Promise<Updated> {
    checkOptions("step", options);
    const rollout = await this.rollout(prompts, options);
    const scored = await this.score(rollout, options);
    return this.update(await this.advantage(scored), options);
  }

  /**
   * Step after step. Leave the loop, interrupt it or call `stop()`, and go on later with another `run`: the trainer
   * stands after the last whole step.
   */
  async *run(
    options: { readonly steps?: number; readonly prompts?: Prompts } & Interruptible = {},
  ): AsyncGenerator<Updated, void, undefined> {
    checkOptions("run", options);
    const { steps = Number.POSITIVE_INFINITY, prompts, signal } = options;
    this.#stopping = false;
    this.#running++;
    this.#changed();
    try {
      for (let done = 0; done < steps && !this.#stopping; done++) {
        yield await this.step(prompts, signal === undefined ? {} : { signal });
      }
    } finally {
      this.#running--;
      this.#changed();
    }
  }

  /** Ends a `run` after the step in progress. */
  stop(): void {
    this.#stopping = true;
  }

  /** Stands where the trainer stood before its last step. */
  async undo(): Promise<this> {
    const { step } = this.#timeline.small;
    if (this.#timeline.position === 0) {
      throw new TrainerError(`undo: there is no earlier state; the trainer stands at step ${step}, where it began`);
    }
    return this.goto(step - 1);
  }

  /** Stands where the trainer stood when it had taken `step` steps; later ones can be gone to until the next update. */
  async goto(step: number): Promise<this> {
    const first = this.#timeline.states[0]?.step ?? 0;
    const last = first + this.#timeline.held.length - 1;
    if (!Number.isInteger(step) || step < first || step > last) {
      throw new TrainerError(`goto: there is no state after ${step} steps; there are states after ${first} to ${last}`);
    }
    await this.#timeline.goto(step - first);
    this.#changed();
    return this;
  }

  /** Another trainer that begins where this one stands, and shares its parameters until it updates. */
  fork(options: { readonly config?: PPOConfigInput; readonly reward?: RewardFunction | CausalLM } = {}): PPOTrainer {
    checkOptions("fork", options);
    const { config: input = {} } = options;
    const reward = rewardFunctionOf(options.reward, "fork");
    const config = configure(input, this.config);
    const { small, tensors } = this.#timeline.current;
    this.#timeline.escape(tensors);
    const id = newId();
    const setting: Setting = {
      ...this.#setting,
      id,
      config,
      lineage: new Map([...this.#setting.lineage, [id, config]]),
      reward: reward ?? this.#setting.reward,
      earlier: this.#entries().map((entry) => ({ ...entry, held: "dropped" })),
    };
    const klCoef = config.klCoef === this.config.klCoef ? small.klCoef : config.klCoef;
    return new PPOTrainer(setting, { ...small, klCoef }, groupsOf(tensors));
  }

  // ------------------------------------------------------------------------------------------------- files

  /**
   * Writes everything that is needed to go on: the policy and the reference as Hugging Face folders, the optimizer's
   * moments, the configuration and the small state. What the folder held before is replaced in one step at the end.
   */
  async save(dir: string, options: Interruptible = {}): Promise<void> {
    checkOptions("save", options);
    const { config, reference, policy } = this.#setting;
    const { small, tensors } = await this.#timeline.load();
    const { policy: params, m, v } = groupsOf(tensors);
    const history = this.#entries().map(({ step, stats, parameters }) => ({
      step,
      parameters,
      stats: Object.fromEntries(Object.entries(stats).filter(([, value]) => typeof value === "number")),
    }));
    const { stats: _, ...state } = small;
    const checkpoint: Checkpoint = {
      config,
      state,
      history,
      policy: withParams(policy, params),
      reference: reference.fingerprint === small.parameters ? undefined : reference,
      m,
      v,
    };
    await this.#holding(() => writeCheckpoint(dir, checkpoint, signalOf(options.signal)));
  }

  /**
   * A trainer as it was when it was saved: it goes on with the same numbers, bit for bit on the same machine.
   * @throws Error naming what is missing or damaged.
   */
  static async resume(dir: string, options: Omit<PPOTrainerOptions, "policy" | "reference"> = {}): Promise<PPOTrainer> {
    checkOptions("PPOTrainer.resume", options);
    const { config: saved, state, history, policy, reference, m, v } = await readCheckpoint(dir);
    const config = configure(options.config, saved);
    const fresh = await PPOTrainer.create({
      ...options,
      policy,
      ...(reference ? { reference } : {}),
      config: { ...config },
    });
    const setting: Setting = {
      ...fresh.#setting,
      earlier: history.map((entry) => ({ ...entry, held: "dropped" })),
    };
    return new PPOTrainer(setting, { ...state, stats: history.at(-1)?.stats ?? null }, { policy: policy.params, m, v });
  }

  /** Lets go of what the past keeps on disk. The trainer can still be used. */
  async dispose(): Promise<void> {
    await this.#timeline.dispose();
  }

  [displaySymbol](): unknown {
    return bundleOf(this, this.#summary({ bold: (x) => x, dim: (x) => x, signed: (x) => x }));
  }

  [Symbol.for("nodejs.util.inspect.custom")](_depth: number, options?: { readonly colors?: boolean }): string {
    const on = options?.colors === true;
    return this.#summary({
      bold: (x) => (on ? `\x1b[1m${x}\x1b[22m` : x),
      dim: (x) => (on ? `\x1b[2m${x}\x1b[22m` : x),
      signed: (x) => x,
    });
  }

  // ------------------------------------------------------------------------------------------------- the update

  async *#train(
    call: "update" | "minibatches",
    value: Advantaged,
    overrides: UpdateOverrides,
  ): AsyncGenerator<MinibatchResult, Updated, undefined> {
    checkOptions(call, overrides);
    const { lineage } = this.#setting;
    const advantaged = checkStage(value, "advantaged", call, lineage);
    const config = overrides.config === undefined ? this.config : configure(overrides.config, this.config);
    const optimizer = overrides.config === undefined ? this.#optimizer : optimizerOf(config);
    checkTrainable(advantaged, config, call);
    checkPermutations(overrides.permutations, config, call);
    const stale = this.#staleness(advantaged, call, "were scored");

    const base = await this.#timeline.load();
    const { version } = this.#timeline;
    const working = new WorkingState(groupsOf(base.tensors), base.small.optimizerSteps, this.#timeline);
    const minibatches: MinibatchResult[] = [];
    const newLogprobs: Tensor<"float32">[] = [];
    let stoppedEarly: number | undefined;
    let optimize = 0;
    try {
      for (let epoch = 0; epoch < config.ppoEpochs && stoppedEarly === undefined; epoch++) {
        const order = overrides.permutations?.[epoch] ?? shuffled(config, base.small.step, epoch);
        const epochLogprobs = new Float32Array(advantaged.logprobs.data.length);
        let accumulated: Gradients | undefined;
        for (let index = 0; index * config.miniBatchSize < order.length; index++) {
          const started = performance.now();
          const rows = order.slice(index * config.miniBatchSize, (index + 1) * config.miniBatchSize);
          const steps = (index + 1) % config.gradientAccumulationSteps === 0;
          const { result, gradients } = await trainingPass(
            this.#evaluation.passes,
            advantaged,
            config,
            working.params,
            {
              rows,
              epoch,
              index,
              steps,
              signal: signalOf(overrides.signal),
              allocate: working.allocate,
            },
          );
          scatterRows(epochLogprobs, result.newLogprobs, rows);
          minibatches.push(result);
          const scale = (result.skipped ? 0 : 1) / config.gradientAccumulationSteps;
          const sum: Gradients = addGradients(accumulated, { tensors: gradients, scale });
          if (accumulated !== undefined) working.recycle(gradients, sum.tensors);
          accumulated = sum;
          optimize += seconds(started);
          yield result;

          if (!steps) continue;
          const stepping = performance.now();
          signalOf(overrides.signal).throwIfAborted();
          await working.step(optimizer, clipped(accumulated, config, working.optimizerSteps));
          working.recycle(accumulated.tensors);
          accumulated = undefined;
          optimize += seconds(stepping);
        }
        newLogprobs.push(float32(advantaged.logprobs.shape, epochLogprobs));
        const policyKl = minibatches.at(-1)?.policyKl ?? 0;
        if (config.earlyStopping && policyKl > 1.5 * config.targetKl) stoppedEarly = epoch;
      }

      const kl = episodeKl(advantaged);
      const klCoef = config.adaptiveKl
        ? adaptKlCoef(base.small.klCoef, kl, config.batchSize, { target: config.klTarget, horizon: config.klHorizon })
        : base.small.klCoef;
      const { forward = 0, rewards = 0, advantages = 0 } = this.#seconds.get(value) ?? {};
      const total = forward + rewards + advantages + optimize;
      const parameters = fingerprint(working.params);
      const updated = seal<Updated>({
        stage: "updated",
        step: base.small.step,
        trainer: this.#setting.id,
        stats: stepStats({ ...advantaged, config }, minibatches, { forward, rewards, advantages, optimize, total }),
        minibatches: Object.freeze(minibatches),
        newLogprobs: Object.freeze(newLogprobs),
        advantaged,
        config,
        klCoef,
        parametersBefore: base.small.parameters,
        parameters,
        dryRun: overrides.dryRun === true,
        ...(stoppedEarly === undefined ? {} : { stoppedEarly }),
        ...stale,
      });
      if (overrides.dryRun === true) return updated;

      signalOf(overrides.signal).throwIfAborted();
      if (this.#timeline.version !== version) {
        throw new TrainerError(
          `${call}: the trainer moved while this update ran (another update, undo or goto); its result is not kept, call it again`,
        );
      }
      this.#timeline.commit((state) => {
        state.step = base.small.step + 1;
        state.klCoef = klCoef;
        state.moments = advantaged.scoreMoments;
        state.optimizerSteps = working.optimizerSteps;
        state.parameters = parameters;
        state.stats = updated.stats as typeof state.stats;
      }, working.keep());
      this.#updates.splice(this.#timeline.position, Number.POSITIVE_INFINITY, updated);
      this.#changed();
      await this.#timeline.trim();
      return updated;
    } finally {
      working.release();
      await this.#timeline.load();
    }
  }

  // ------------------------------------------------------------------------------------------------- parts of stages

  /** Work that reads the current tensors, which no update writes over meanwhile. */
  async #holding<T>(work: () => Promise<T>): Promise<T> {
    const over = this.#timeline.hold();
    try {
      return await work();
    } finally {
      over();
    }
  }

  #params(): Params {
    return this.#timeline.current.tensors.policy ?? new Map();
  }

  async #judge(
    rollout: Rollout,
    responseIds: number[][],
    overrides: ScoreOptions,
    signal: AbortSignal,
  ): Promise<Judgement> {
    if (overrides.scores !== undefined) {
      return checkScores(overrides.scores, rollout.responseLengths, "scores", rollout.responses);
    }
    const reward = rewardFunctionOf(overrides.reward, "score") ?? this.#setting.reward;
    if (reward === undefined) {
      throw new TrainerError(
        "score: no reward; pass one: trainer.score(rollout, { reward }) or { scores }, or PPOTrainer.create({ reward })",
      );
    }
    const { prompts, responses, queryIds } = rollout;
    return judge(reward, { prompts, responses, queryIds, responseIds }, signal);
  }

  #provenance({ step }: { readonly step: number }) {
    return {
      step,
      trainer: this.#setting.id,
      config: this.config,
      parameters: this.#timeline.small.parameters,
    };
  }

  /** A note when a value comes from other parameters than the trainer has now, said once a trainer on the console too. */
  #staleness(
    value: { readonly parameters: string; readonly step: number; readonly stale?: string },
    call: string,
    how: string,
  ): { readonly stale?: string } {
    const { parameters, step } = this.#timeline.small;
    if (value.parameters === parameters) return value.stale === undefined ? {} : { stale: value.stale };
    const stale = `these episodes ${how} at step ${value.step} with parameters ${value.parameters.slice(0, 8)}; the trainer stands at step ${step} with ${parameters.slice(0, 8)}`;
    if (!this.#warned.has(call)) {
      this.#warned.add(call);
      console.warn(`${call}: stale: ${stale}`);
    }
    return { stale };
  }

  #entries(): readonly HistoryEntry[] {
    const { held, position } = this.#timeline;
    const entries = [...this.#setting.earlier];
    for (const [i, state] of this.#timeline.states.slice(0, position + 1).entries()) {
      if (i === 0 || state.stats === null) continue;
      const updated = this.#updates[i];
      entries.push({
        step: state.step - 1,
        stats: state.stats,
        parameters: state.parameters,
        held: held[i] ?? "dropped",
        ...(updated === undefined ? {} : { updated }),
      });
    }
    return entries;
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }

  #summary(ink: Ink): string {
    const { config, policy, reference, engine, id, reward } = this.#setting;
    const { small } = this.#timeline;
    const { tensors } = this.#timeline.current;
    return trainerText(
      {
        ...groupsOf(tensors),
        id,
        config,
        policyName: policy.name,
        reference,
        rewardName: reward === undefined ? "none" : reward.name || "a function",
        optimizerName: this.#optimizer.name,
        engineName: engine.name,
        state: small,
        held: this.#timeline.held.slice(0, this.#timeline.position),
      },
      ink,
    );
  }
}

function newId(): string {
  return `ppo-${randomUUID().slice(0, 8)}`;
}

function optimizerOf(config: PPOConfig): Optimizer<AdamState> {
  const { learningRate, adamBeta1: beta1, adamBeta2: beta2, adamEpsilon: epsilon, weightDecay } = config;
  const options = { learningRate, beta1, beta2, epsilon };
  return weightDecay === 0 ? adam(options) : adamW({ ...options, weightDecay });
}

/** Gradients within `maxGradNorm`. TRL 0.11 clips at the first optimizer step of the trainer's life and never again. */
function clipped(gradients: Gradients, config: PPOConfig, optimizerSteps: number): Gradients {
  const { maxGradNorm, clipGradOnce } = config;
  if (maxGradNorm === null || (clipGradOnce && optimizerSteps > 0)) return gradients;
  return clipByGlobalNorm(gradients, maxGradNorm, globalNorm(gradients));
}

function shuffled({ seed, batchSize }: PPOConfig, step: number, epoch: number): number[] {
  return Array.from(stream(seed, "ppo/permutation", step, epoch).permutation(batchSize));
}

function groupsOf(tensors: Readonly<Record<string, Params>>): { policy: Params; m: Params; v: Params } {
  const none: Params = new Map();
  return { policy: tensors.policy ?? none, m: tensors.m ?? none, v: tensors.v ?? none };
}

/** How many positions follow column T - 1 of each row when episodes are padded as TRL pads them; negative if it ends before. */
function paddingAfter(
  { queryIds, responseLengths }: Rollout | Scored,
  columns: number,
  { paddingSide }: PPOConfig,
): number[] {
  const lengths = queryIds.map(({ length }, row) => length + (responseLengths[row] ?? 0));
  const longest = Math.max(...lengths);
  return lengths.map((length, row) => {
    const after = paddingSide === "left" ? 0 : longest - length;
    return (responseLengths[row] ?? 0) + after - columns;
  });
}

function masked(values: ArrayLike<number>, mask: Tensor<"float32">): Tensor<"float32"> {
  return float32(
    mask.shape,
    mask.data.map((counts, i) => (counts === 0 ? 0 : (values[i] ?? Number.NaN))),
  );
}

function scatterRows(to: Float32Array, from: Tensor<"float32">, rows: readonly number[]): void {
  const columns = from.shape[1] ?? 0;
  for (const [i, row] of rows.entries()) to.set(from.data.subarray(i * columns, (i + 1) * columns), row * columns);
}
