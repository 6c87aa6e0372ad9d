import assert from "node:assert/strict";
import { test } from "node:test";
import { type AdamStep, adamStep, adamStepPlain } from "../../src/optim/adamKernel.js";
import { adamLoop, CHUNK } from "../../src/optim/simd.js";

const hyper = {
  gradientScale: 0.5,
  l2: 0.01,
  shrink: 0.999,
  beta1: 0.9,
  beta2: 0.99,
  stepSize: 0.02,
  inverseSqrtCorrection2: 1.5,
  epsilon: 1e-8,
};

function arrays(length: number) {
  const wave = (phase: number, scale: number) =>
    Float32Array.from({ length }, (_, i) => scale * Math.sin(i * 1.37 + phase));
  return { param: wave(0, 1), gradient: wave(1, 0.3), m: wave(2, 0.1), v: wave(3, 0.1).map((x) => x * x) };
}

function stepped(take: (step: AdamStep) => void, length: number, first: boolean) {
  const { m, v, ...rest } = arrays(length);
  const out = { outParam: new Float32Array(length), outM: new Float32Array(length), outV: new Float32Array(length) };
  take({ ...rest, ...out, ...hyper, m: first ? undefined : m, v: first ? undefined : v });
  return { ...out, ...rest };
}

test("there is a SIMD loop here", () => {
  assert.ok(adamLoop());
});

test("the SIMD loop equals the plain one to float32 rounding, whatever the length", () => {
  for (const length of [1, 3, 4, 1000, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 7]) {
    for (const first of [true, false]) {
      const [fast, plain] = [stepped(adamStep, length, first), stepped(adamStepPlain, length, first)];
      for (const name of ["outParam", "outM", "outV"] as const) {
        let worst = 0;
        for (const [i, x] of fast[name].entries()) {
          const y = Number(plain[name][i]);
          worst = Math.max(worst, Math.abs(x - y) / Math.max(Math.abs(y), 0.1));
        }
        assert.ok(worst <= 4e-7, `${name} of ${length} elements differs by ${worst}`);
      }
    }
  }
});

test("what goes in is left as it was, and outputs may be the inputs", () => {
  const length = CHUNK + 5;
  const { param, gradient, ...expected } = stepped(adamStep, length, false);
  const own = arrays(length);
  assert.deepEqual([param, gradient], [own.param, own.gradient]);
  adamStep({ ...own, ...hyper, outParam: own.param, outM: own.m, outV: own.v });
  assert.deepEqual([own.param, own.m, own.v], [expected.outParam, expected.outM, expected.outV]);
});

test("an element without gradient and moments stays", () => {
  const [param, zeros] = [Float32Array.of(1, -2, 3), new Float32Array(3)];
  const out = { outParam: new Float32Array(3), outM: new Float32Array(3), outV: new Float32Array(3) };
  adamStep({ ...hyper, l2: 0, shrink: 1, param, gradient: zeros, m: undefined, v: undefined, ...out });
  assert.deepEqual(out.outParam, param);
});
