import type { PPOStage } from "../src/trainers/stages.js";
import { asset } from "./assets.js";
import { openLens, packLens } from "./lens.js";
import { isLensChoices, lensState } from "./lensState.js";
import { type Comms, hostOf, type MimeBundle, type WidgetModel } from "./models.js";
import { packRun, type Run } from "./run.js";
import { dashTwin, lensTwin } from "./twin.js";

/** A token that could have come at a position. */
export interface AlternativeToken {
  readonly id: number;
  readonly text: string;
  /** Probability under the policy, 0 to 1. */
  readonly probability: number;
  /** Probability under the reference. */
  readonly reference?: number;
}

/** What else a widget can do for a value, where its trainer is at hand. */
export interface PresentOptions {
  /** The likeliest tokens at a response position of an episode (both from 0). */
  readonly alternatives?: (
    value: PPOStage,
    episode: number,
    position: number,
  ) => readonly AlternativeToken[] | Promise<readonly AlternativeToken[]>;
}

/** Updates of a running dashboard go out at most this often. */
const liveMilliseconds = 100;
/** … and with at most this many bytes a second, so that a long run does not flood its page. */
const liveBytesPerMillisecond = 2000;

/** True for values that {@link present} can show. */
export function canPresent(value: unknown): value is PPOStage | Run {
  return isStage(value) || isRun(value);
}

/**
 * What a value shows in a notebook: a live view (one model per value, however often it is displayed), with an HTML and
 * a plain text twin for places where no widget can run.
 * @throws TypeError for a value that has no view.
 */
export function present(value: PPOStage | Run, comms: Comms, options: PresentOptions = {}): MimeBundle {
  if (isStage(value)) return presentStage(value, comms, options);
  if (isRun(value)) return presentRun(value, comms);
  throw new TypeError("only the values of a trainer's stages and a trainer's history have a view");
}

/** The static forms alone, for a place that has no comms. */
export function presentStatic(value: PPOStage | Run): MimeBundle {
  const { html, text } = isStage(value) ? stageTwin(value) : dashTwin(packRun(value));
  return { "text/html": html, "text/plain": text };
}

const shown = new WeakMap<Comms, WeakMap<object, WidgetModel>>();

function presentStage(value: PPOStage, comms: Comms, { alternatives }: PresentOptions): MimeBundle {
  const model = modelFor(value, comms, () => {
    const { header, buffers } = packLens(value, alternatives !== undefined);
    const { offsets } = buffers;
    return hostOf(comms).open({
      name: "TokenLens",
      esm: asset("tokenLens.js"),
      css: asset("tokenLens.css"),
      state: lensState(header, buffers),
      viewKeys: { choices: isLensChoices },
      onCustom: (content, reply) => {
        const { type, token } = (content ?? {}) as { type?: unknown; token?: unknown };
        if (type !== "alternatives" || !alternatives || !Number.isInteger(token)) return;
        const place = token as number;
        const episode = offsets.findLastIndex((from, b) => b < offsets.length - 1 && from <= place);
        if (episode < 0 || place >= (offsets[offsets.length - 1] ?? 0)) return;
        void (async () => alternatives(value, episode, place - (offsets[episode] ?? 0)))().then(
          (found) => reply({ type, token: place, alternatives: found }),
          (error: unknown) =>
            reply({ type, token: place, error: error instanceof Error ? error.message : String(error) }),
        );
      },
    });
  });
  return bundle(model, stageTwin(value));
}

function presentRun(run: Run, comms: Comms): MimeBundle {
  const model = modelFor(run, comms, () => {
    let unsubscribe: (() => void) | undefined;
    const opened = hostOf(comms).open({
      name: "TrainDash",
      esm: asset("trainDash.js"),
      css: asset("trainDash.css"),
      state: { ...packRun(run) },
      onCustom: (content, reply) => {
        const { type, name } = (content ?? {}) as { type?: unknown; name?: unknown };
        if (type === "stop") run.stop?.();
        if (type === "asset" && name === "plotly-basic") {
          reply({ type, name }, [Buffer.from(asset("plotly-basic.min.js"))]);
        }
      },
      onClose: () => unsubscribe?.(),
    });
    const send = coalesced(() => {
      const state = packRun(run);
      opened.update({ ...state });
      return state.series.byteLength;
    });
    unsubscribe = run.subscribe?.(send);
    return opened;
  });
  return bundle(model, dashTwin(packRun(run)));
}

function modelFor(value: object, comms: Comms, open: () => WidgetModel): WidgetModel {
  const models = shown.get(comms) ?? new WeakMap<object, WidgetModel>();
  shown.set(comms, models);
  const known = models.get(value);
  if (known && !known.closed) return known;
  const model = open();
  models.set(value, model);
  return model;
}

function bundle(model: WidgetModel, twin: { html: string; text: string }): MimeBundle {
  return {
    "application/vnd.jupyter.widget-view+json": { version_major: 2, version_minor: 0, model_id: model.id },
    "text/html": twin.html,
    "text/plain": twin.text,
  };
}

function stageTwin(value: PPOStage): { html: string; text: string } {
  const { header, buffers } = packLens(value);
  return lensTwin(openLens(header, buffers));
}

/** Runs `send` at once, then at most every 100 ms and within the byte rate; the last request is never lost. */
function coalesced(send: () => number): () => void {
  let next = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const now = () => {
    timer = undefined;
    const bytes = send();
    next = performance.now() + Math.max(liveMilliseconds, bytes / liveBytesPerMillisecond);
  };
  return () => {
    if (timer !== undefined) return;
    const wait = next - performance.now();
    if (wait <= 0) now();
    else timer = setTimeout(now, wait);
  };
}

function isStage(value: unknown): value is PPOStage {
  const stage = typeof value === "object" && value !== null ? (value as { stage?: unknown }).stage : undefined;
  return stage === "rollout" || stage === "scored" || stage === "advantaged" || stage === "updated";
}

function isRun(value: unknown): value is Run {
  return typeof value === "object" && value !== null && Array.isArray((value as { entries?: unknown }).entries);
}
