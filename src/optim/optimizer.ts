/**
 * Optimizers as values: an optimizer is a pair of functions, `init` and `update`, and gradient transforms are chained in
 * front of it (the shape of DeepMind's optax). Whole tensors go in and come out; nothing is changed in place unless the
 * caller says that the old tensors are its own and no longer needed.
 */
import { float32, type Params, type Tensor } from "../tensor.js";

/**
 * Gradients by parameter name, times `scale`, which is applied when they are read: clipping touches no tensor.
 * A parameter without an entry has no gradient and is left as it is.
 */
export interface Gradients {
  readonly tensors: Params;
  readonly scale: number;
}

/** How an update gets its memory. */
export interface UpdateOptions {
  /** Learning rate of this step, for schedules; the optimizer's own without it. */
  readonly learningRate?: number;
  /** Which of the arrays that are passed in, parameters and state, may be written over; none by default. */
  readonly overwrite?: (array: Float32Array) => boolean;
  /** Where new arrays come from: a pool's, or by default fresh ones. Contents need not be zero. */
  readonly allocate?: (length: number) => Float32Array;
}

/** Maps gradients to gradients. */
export interface GradientTransform<S> {
  init(params: Params): S;
  update(gradients: Gradients, state: S): { readonly gradients: Gradients; readonly state: S };
}

/** Takes a step: parameters and state in, new parameters and state out. */
export interface Optimizer<S> {
  /** What it is, with the hyperparameters that really run. */
  readonly name: string;
  init(params: Params): S;
  update(
    gradients: Gradients,
    state: S,
    params: Params,
    options?: UpdateOptions,
  ): { readonly params: Params; readonly state: S };
}

/** An optimizer with a gradient transform in front of it. */
export function chain<T, S>(
  transform: GradientTransform<T>,
  optimizer: Optimizer<S>,
): Optimizer<{ readonly transform: T; readonly optimizer: S }> {
  return {
    name: optimizer.name,
    init: (params) => ({ transform: transform.init(params), optimizer: optimizer.init(params) }),
    update: (gradients, state, params, options) => {
      const transformed = transform.update(gradients, state.transform);
      const stepped = optimizer.update(transformed.gradients, state.optimizer, params, options);
      return { params: stepped.params, state: { transform: transformed.state, optimizer: stepped.state } };
    },
  };
}

/** Euclidean norm of one gradient tensor, in float64. */
export function norm(gradient: Tensor<"float32">): number {
  const data = gradient.data;
  const length = data.length;
  // Four sums at a time: additions of one chain wait for each other.
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let i = 0;
  for (; i + 3 < length; i += 4) {
    const w = data[i] as number;
    const x = data[i + 1] as number;
    const y = data[i + 2] as number;
    const z = data[i + 3] as number;
    a += w * w;
    b += x * x;
    c += y * y;
    d += z * z;
  }
  for (; i < length; i++) a += (data[i] as number) ** 2;
  return Math.sqrt(a + b + c + d);
}

/** Euclidean norm over all gradients, `scale` applied. */
export function globalNorm({ tensors, scale }: Gradients): number {
  let squares = 0;
  for (const gradient of tensors.values()) squares += norm(gradient) ** 2;
  return Math.sqrt(squares) * Math.abs(scale);
}

/**
 * Gradients scaled down to a global norm of at most `maxNorm`: by `maxNorm / (norm + 1e-6)`, at most 1
 * (`clip_grad_norm_` of PyTorch). A norm that is known already may be passed.
 */
export function clipByGlobalNorm(gradients: Gradients, maxNorm: number, known = globalNorm(gradients)): Gradients {
  return { tensors: gradients.tensors, scale: gradients.scale * Math.min(1, maxNorm / (known + 1e-6)) };
}

/** {@link clipByGlobalNorm} as a transform, for {@link chain}. */
export function clipping(maxNorm: number): GradientTransform<undefined> {
  return {
    init: () => undefined,
    update: (gradients, state) => ({ gradients: clipByGlobalNorm(gradients, maxNorm), state }),
  };
}

/**
 * Sum of two sets of gradients, scales applied. It is written over the tensors of `sum`, which must be the caller's
 * alone; without a sum so far, the term is the sum.
 */
export function addGradients(sum: Gradients | undefined, term: Gradients): Gradients {
  if (sum === undefined) return term;
  const tensors = new Map(sum.tensors);
  const same = sum.scale === term.scale;
  for (const [name, gradient] of sum.tensors) {
    const to = gradient.data;
    const from = term.tensors.get(name)?.data;
    for (let i = 0; i < to.length; i++) {
      const added = from === undefined ? 0 : (from[i] as number);
      to[i] = same ? (to[i] as number) + added : (to[i] as number) * sum.scale + added * term.scale;
    }
  }
  for (const [name, gradient] of term.tensors) {
    if (tensors.has(name)) continue;
    const data = same ? gradient.data : gradient.data.map((x) => x * term.scale);
    tensors.set(name, float32(gradient.shape, data));
  }
  return { tensors, scale: same ? sum.scale : 1 };
}

/**
 * Whether decoupled weight decay applies to a parameter: not to biases, nor to the weights of normalisations, told by
 * name (`Trainer.get_decay_parameter_names` of transformers tells layers of a norm class too; in the supported families
 * the names below are those layers).
 */
export function decays(name: string): boolean {
  return !/(^|\.)bias$|(^|[._])(\w*layer_?norm|\w*_norm|norm|ln_\w+)(\.|$)/i.test(name);
}
