import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { ortEngine } from "../../src/engine/ort.js";
import { programCache } from "../../src/engine/programCache.js";
import { type GeneratedToken, type GenerationOptions, generate } from "../../src/generation/generate.js";
import { Graph } from "../../src/graph/graph.js";
import { program } from "../../src/graph/program.js";
import { loadModel } from "../../src/models/load.js";
import { lmHead, tokenLogprobs } from "../../src/nn/heads.js";
import { transformer, weightsOf } from "../../src/nn/transformer.js";
import { float32, int32 } from "../../src/tensor.js";
import { closeTo } from "../helpers/golden.js";

for (const family of ["llama_untied", "gpt2"]) {
  describe(`generation, ${family}`, async () => {
    const programs = programCache(ortEngine());
    after(() => programs.dispose());
    const model = await loadModel(`test/golden/models/${family}`);
    const prompts = [[3, 14, 15], [9, 26, 5, 35, 8, 9, 7], [42], [11, 12], [60, 61, 62, 63, 64]];
    const options: GenerationOptions = { maxNewTokens: 12, stopTokens: [7, 21, 50], topK: 40 };

    test("what a sequence says does not depend on what else is in its batch", async () => {
      const all = await generate(programs, model, prompts, options, { seed: 5, step: 2 });
      assert.ok(new Set(all.responseIds.map(({ length }) => length)).size > 1, "responses of several lengths");
      const others = [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17], ...prompts.slice(1, 3)];
      const some = await generate(programs, model, others, options, { seed: 5, step: 2 });
      assert.deepEqual(some.responseIds.slice(1), all.responseIds.slice(1, 3));
      const again = await generate(programs, model, prompts, options, { seed: 5, step: 2 });
      assert.deepEqual(again, all);
      const other = await generate(programs, model, prompts, options, { seed: 5, step: 3 });
      assert.notDeepEqual(other.responseIds, all.responseIds);
    });

    test("log-probs are the untempered ones that scoring computes", async () => {
      const warped = { ...options, temperature: 0.6, topP: 0.9, repetitionPenalty: 1.2 };
      const { responseIds, logprobs } = await generate(programs, model, prompts, warped, { seed: 1 });
      for (const [i, response] of responseIds.entries()) {
        const prompt = prompts[i] ?? [];
        closeTo(logprobs[i] ?? [], await score(prompt, [...response]), { abs: 1e-4 }, `sequence ${i}`);
      }
    });

    test("a response ends with its stop token or at its length, and not too early", async () => {
      const { responseIds, finishReasons } = await generate(programs, model, prompts, options, { seed: 3 });
      for (const [i, ids] of responseIds.entries()) {
        const stops = [...ids].filter((id) => options.stopTokens?.includes(id));
        assert.equal(stops.length, finishReasons[i] === "stop" ? 1 : 0);
        if (finishReasons[i] === "stop") assert.equal(ids.at(-1), stops[0]);
        else assert.equal(ids.length, 12);
      }
      const patient = await generate(programs, model, prompts, { ...options, minNewTokens: 12 }, { seed: 3 });
      for (const ids of patient.responseIds) assert.equal(ids.length, 12);
      const none = await generate(programs, model, prompts, { ...options, maxNewTokens: 0 }, { seed: 3 });
      assert.deepEqual([...none.responseIds.map(({ length }) => length)], [0, 0, 0, 0, 0]);
    });

    test("a large batch whose sequences end at different times gives what small ones give", async () => {
      const many = Array.from({ length: 32 }, (_, i) => [1 + i, 2 + i]);
      const stopTokens = Array.from({ length: 24 }, (_, i) => 3 * i);
      const large = await generate(programs, model, many, { maxNewTokens: 12, stopTokens }, { seed: 6 });
      const small = await generate(programs, model, many.slice(0, 4), { maxNewTokens: 12, stopTokens }, { seed: 6 });
      assert.deepEqual(large.responseIds.slice(0, 4), small.responseIds);
      for (const [i, logprobs] of large.logprobs.entries()) {
        const response = [...(large.responseIds[i] ?? [])];
        if (i % 8 === 0) closeTo(logprobs, await score(many[i] ?? [], response), { abs: 1e-4 }, `sequence ${i}`);
      }
    });

    test("tokens are told as they are written, and an abort stops between two of them", async () => {
      const told: GeneratedToken[] = [];
      const { responseIds } = await generate(programs, model, prompts, options, {
        seed: 4,
        onToken: (t) => told.push(t),
      });
      for (const [i, ids] of responseIds.entries()) {
        assert.deepEqual(
          told.filter(({ sequence }) => sequence === i).map(({ tokenId }) => tokenId),
          [...ids],
        );
      }
      const controller = new AbortController();
      let count = 0;
      const onToken = () => {
        if (++count === 6) controller.abort(new Error("enough"));
      };
      const { signal } = controller;
      await assert.rejects(generate(programs, model, prompts, options, { seed: 4, signal, onToken }), /enough/);
      assert.ok(count < 12, `${count} tokens were written, though the sixth asked to stop`);
    });

    test("bad prompts and options are named", async () => {
      const run = (ids: number[], more: Partial<GenerationOptions> = {}) =>
        generate(programs, model, [[1], ids], { ...options, ...more }, { seed: 0 });
      await assert.rejects(run([]), /prompt 1 is empty/);
      await assert.rejects(run([5000]), /prompt 1 has the token 5000/);
      await assert.rejects(run(Array(model.config.maxPositions).fill(1)), /prompt 1 has \d+ tokens .* room for/);
      await assert.rejects(run([1], { maxNewTokens: -1 }), /maxNewTokens is -1/);
      await assert.rejects(run([1], { minNewTokens: 13 }), /minNewTokens is 13.*maxNewTokens \(12\)/);
      await assert.rejects(run([1], { stopTokens: [-5] }), /stopTokens .* name -5/);
      await assert.rejects(run([1], { topP: 1.5 }), /topP is 1.5/);
      await assert.rejects(run([1], { topK: -1 }), /topK is -1/);
      await assert.rejects(run([1], { temperature: 0 }), /temperature is 0.*doSample false/);
      await assert.rejects(
        run([1], { suppressTokens: [...Array(model.config.vocabSize).keys()] }),
        /no token to go on/,
      );
    });

    async function score(prompt: readonly number[], response: readonly number[]): Promise<Float32Array> {
      const ids = [...prompt, ...response];
      const shape = [1, ids.length - 1];
      const graph = new Graph();
      const weights = weightsOf(graph, model.config);
      const { hidden } = transformer(model.config, weights, {
        inputIds: graph.input("inputIds", "int32", shape),
        positionIds: graph.input("positionIds", "int32", shape),
        attentionMask: graph.input("attentionMask", "float32", shape),
      });
      const logprobs = tokenLogprobs(lmHead(model.config, weights, hidden), graph.input("targets", "int32", shape));
      const executable = await ortEngine().compile(program({ logprobs }));
      const results = await executable.run({
        ...Object.fromEntries(model.params),
        inputIds: int32(shape, ids.slice(0, -1)),
        targets: int32(shape, ids.slice(1)),
        positionIds: int32(shape, Int32Array.from(ids.slice(1).keys())),
        attentionMask: float32(shape, new Float32Array(ids.length - 1).fill(1)),
      });
      await executable.dispose();
      const scored = results.logprobs?.data;
      assert.ok(scored instanceof Float32Array);
      return scored.slice(prompt.length - 1);
    }
  });
}
