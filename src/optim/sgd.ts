import { float32, type Params } from "../tensor.js";
import type { Optimizer } from "./optimizer.js";

/** Hyperparameters, with PyTorch's names. */
export interface SgdOptions {
  readonly learningRate: number;
  readonly momentum?: number;
  readonly nesterov?: boolean;
  /** L2 regularisation. */
  readonly weightDecay?: number;
}

/** Momentum buffers, by parameter name. */
export interface SgdState {
  readonly momentum: Params;
}

/** Stochastic gradient descent in the arithmetic of `torch.optim.SGD`: the first momentum is the first gradient. */
export function sgd(options: SgdOptions): Optimizer<SgdState> {
  const { momentum = 0, nesterov = false, weightDecay = 0 } = options;
  return {
    name: `SGD(lr ${options.learningRate}, momentum ${momentum}${nesterov ? ", nesterov" : ""}, weight decay ${weightDecay})`,
    init: () => ({ momentum: new Map() }),
    update: (gradients, state, params, { learningRate = options.learningRate } = {}) => {
      const next = { params: new Map(params), momentum: new Map(state.momentum) };
      for (const [name, gradient] of gradients.tensors) {
        const param = params.get(name);
        if (param === undefined) throw new Error(`optimizer: gradient for "${name}", which is not a parameter`);
        const buffer = state.momentum.get(name);
        const outBuffer = new Float32Array(param.data.length);
        const outParam = new Float32Array(param.data.length);
        for (let i = 0; i < outParam.length; i++) {
          const p = param.data[i] as number;
          const g = (gradient.data[i] as number) * gradients.scale + weightDecay * p;
          const b = buffer === undefined ? g : momentum * (buffer.data[i] as number) + g;
          outBuffer[i] = b;
          outParam[i] = p - learningRate * (momentum === 0 ? g : nesterov ? g + momentum * b : b);
        }
        next.params.set(name, float32(param.shape, outParam));
        if (momentum !== 0) next.momentum.set(name, float32(param.shape, outBuffer));
      }
      return { params: next.params, state: { momentum: next.momentum } };
    },
  };
}
