import { type AdamLoop, adamLoop, CHUNK } from "./simd.js";

/** One tensor's Adam step. Arrays have equal lengths; outputs may be the inputs themselves. */
export interface AdamStep {
  readonly param: Float32Array;
  readonly gradient: Float32Array;
  /** Moments before the step; absent at the first step, where they count as 0. */
  readonly m: Float32Array | undefined;
  readonly v: Float32Array | undefined;
  readonly outParam: Float32Array;
  readonly outM: Float32Array;
  readonly outV: Float32Array;
  readonly amsgrad?: { readonly vMax: Float32Array | undefined; readonly outVMax: Float32Array };
  /** Factor on the gradient. */
  readonly gradientScale: number;
  /** L2 regularisation: added to the gradient times the parameter. */
  readonly l2: number;
  /** Factor on the parameter before the step (decoupled weight decay). */
  readonly shrink: number;
  readonly beta1: number;
  readonly beta2: number;
  /** Learning rate over `1 - beta1^t`. */
  readonly stepSize: number;
  /** `1 / sqrt(1 - beta2^t)` */
  readonly inverseSqrtCorrection2: number;
  readonly epsilon: number;
}

/**
 * Takes one Adam step of one tensor. Without `amsgrad` the arithmetic is float32, as PyTorch's, in a WebAssembly loop
 * where there is one; else {@link adamStepPlain}.
 */
export function adamStep(step: AdamStep): void {
  loop ??= adamLoop() ?? "missing";
  if (loop === "missing" || step.amsgrad !== undefined) adamStepPlain(step);
  else adamStepSimd(step, loop);
}

let loop: AdamLoop | "missing" | undefined;

function adamStepSimd(step: AdamStep, { p, m, v, g, run }: AdamLoop): void {
  const { param, gradient, outParam, outM, outV } = step;
  for (let start = 0; start < param.length; start += CHUNK) {
    const end = Math.min(start + CHUNK, param.length);
    const count = end - start;
    p.set(param.subarray(start, end));
    g.set(gradient.subarray(start, end));
    if (step.m === undefined) m.fill(0, 0, count);
    else m.set(step.m.subarray(start, end));
    if (step.v === undefined) v.fill(0, 0, count);
    else v.set(step.v.subarray(start, end));
    run(
      count,
      step.gradientScale,
      step.l2,
      step.shrink,
      1 - step.beta1,
      step.beta2,
      1 - step.beta2,
      step.stepSize,
      step.inverseSqrtCorrection2,
      step.epsilon,
    );
    outParam.set(count === CHUNK ? p : p.subarray(0, count), start);
    outM.set(count === CHUNK ? m : m.subarray(0, count), start);
    outV.set(count === CHUNK ? v : v.subarray(0, count), start);
  }
}

/** Takes one Adam step of one tensor in plain TypeScript, rounding only results to float32. */
export function adamStepPlain(step: AdamStep): void {
  const { param, gradient, outParam, outM, outV, gradientScale, l2, shrink, beta1, beta2 } = step;
  const { stepSize, inverseSqrtCorrection2, epsilon, amsgrad } = step;
  const length = param.length;
  // Outputs that are not the inputs start as copies, so that the loop reads and writes the same arrays.
  if (step.m === undefined) outM.fill(0);
  else if (step.m !== outM) outM.set(step.m);
  if (step.v === undefined) outV.fill(0);
  else if (step.v !== outV) outV.set(step.v);
  if (param !== outParam) outParam.set(param);
  if (amsgrad?.vMax === undefined) amsgrad?.outVMax.fill(0);
  else if (amsgrad.vMax !== amsgrad.outVMax) amsgrad.outVMax.set(amsgrad.vMax);
  const outVMax = amsgrad?.outVMax;
  for (let i = 0; i < length; i++) {
    const p = outParam[i] as number;
    const g = (gradient[i] as number) * gradientScale + l2 * p;
    const m = (outM[i] as number) + (1 - beta1) * (g - (outM[i] as number));
    const v = (outV[i] as number) * beta2 + (1 - beta2) * g * g;
    outM[i] = m;
    outV[i] = v;
    let second = v;
    if (outVMax !== undefined) {
      second = Math.max(outVMax[i] as number, v);
      outVMax[i] = second;
    }
    outParam[i] = p * shrink - (stepSize * m) / (Math.sqrt(second) * inverseSqrtCorrection2 + epsilon);
  }
}
