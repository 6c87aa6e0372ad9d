import { float32, type Params, type Tensor } from "../tensor.js";
import { adamStep } from "./adamKernel.js";
import { decays, type Optimizer } from "./optimizer.js";

/** Hyperparameters, with PyTorch's names and defaults. */
export interface AdamOptions {
  readonly learningRate: number;
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
  /** Adam: added to the gradient (L2). AdamW: parameters shrink by `learningRate * weightDecay` (decoupled). */
  readonly weightDecay?: number;
  /** Divide by the largest second moment seen so far. */
  readonly amsgrad?: boolean;
  /** Which parameters decay, by name; AdamW in the manner of transformers passes {@link decays}. Default: all. */
  readonly decays?: (name: string) => boolean;
}

/** Moments of the gradients seen so far. Tensors appear when their parameter first has a gradient. */
export interface AdamState {
  /** Steps taken. */
  readonly steps: number;
  /** First moments, by parameter name. */
  readonly m: Params;
  /** Second moments. */
  readonly v: Params;
  /** Largest second moments, of `amsgrad`. */
  readonly vMax: Params;
}

const none: Params = new Map();

function adamLike(kind: "Adam" | "AdamW", options: AdamOptions): Optimizer<AdamState> {
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0, amsgrad = false } = options;
  const decaying = options.decays ?? (() => true);
  return {
    name: `${kind}(lr ${options.learningRate}, betas ${beta1}, ${beta2}, eps ${epsilon}${weightDecay === 0 ? "" : `, weight decay ${weightDecay}`}${amsgrad ? ", amsgrad" : ""})`,
    init: () => Object.freeze({ steps: 0, m: none, v: none, vMax: none }),
    update: (
      gradients,
      state,
      params,
      { learningRate = options.learningRate, overwrite = () => false, allocate } = {},
    ) => {
      const steps = state.steps + 1;
      const allocated = allocate ?? ((length: number) => new Float32Array(length));
      const next = { params: new Map(params), m: new Map(state.m), v: new Map(state.v), vMax: new Map(state.vMax) };
      for (const [name, gradient] of gradients.tensors) {
        const param = params.get(name);
        if (param === undefined) throw new Error(`optimizer: gradient for "${name}", which is not a parameter`);
        const length = param.data.length;
        if (gradient.data.length !== length) {
          throw new RangeError(
            `optimizer: the gradient of "${name}" has ${gradient.data.length} elements, the parameter ${length}`,
          );
        }
        const target = (old: Tensor<"float32"> | undefined): Float32Array =>
          old !== undefined && overwrite(old.data) ? old.data : allocated(length);
        const [m, v, vMax] = [state.m.get(name), state.v.get(name), state.vMax.get(name)];
        const out = { param: target(param), m: target(m), v: target(v) };
        const outMax = amsgrad ? target(vMax) : undefined;
        const decay = decaying(name) ? weightDecay : 0;
        adamStep({
          param: param.data,
          gradient: gradient.data,
          m: m?.data,
          v: v?.data,
          outParam: out.param,
          outM: out.m,
          outV: out.v,
          ...(outMax === undefined ? {} : { amsgrad: { vMax: vMax?.data, outVMax: outMax } }),
          gradientScale: gradients.scale,
          l2: kind === "Adam" ? decay : 0,
          shrink: kind === "AdamW" ? 1 - learningRate * decay : 1,
          beta1,
          beta2,
          stepSize: learningRate / (1 - beta1 ** steps),
          inverseSqrtCorrection2: 1 / Math.sqrt(1 - beta2 ** steps),
          epsilon,
        });
        next.params.set(name, float32(param.shape, out.param));
        next.m.set(name, float32(param.shape, out.m));
        next.v.set(name, float32(param.shape, out.v));
        if (outMax !== undefined) next.vMax.set(name, float32(param.shape, outMax));
      }
      return {
        params: next.params,
        state: Object.freeze({ steps, m: next.m, v: next.v, vMax: amsgrad ? next.vMax : none }),
      };
    },
  };
}

/**
 * Adam (Kingma and Ba 2015, algorithm 1) in the arithmetic of `torch.optim.Adam`; `weightDecay` is L2 regularisation.
 */
export function adam(options: AdamOptions): Optimizer<AdamState> {
  return adamLike("Adam", options);
}

/** AdamW (Loshchilov and Hutter 2019, algorithm 2) in the arithmetic of `torch.optim.AdamW`. */
export function adamW(options: AdamOptions): Optimizer<AdamState> {
  return adamLike("AdamW", { weightDecay: 0.01, ...options });
}

/** AdamW that leaves biases and normalisation weights undecayed, as transformers' Trainer sets it up. */
export function adamWWithGroups(options: AdamOptions): Optimizer<AdamState> {
  return adamW({ decays, ...options });
}
