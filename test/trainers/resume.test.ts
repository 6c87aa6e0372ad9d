import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { PPOTrainer } from "../../src/trainers/ppo.js";
import { evenTokens, tinyPolicy } from "../helpers/tinyPolicy.js";

const prompts = ["The film", "The soup was", "My aunt", "I liked", "The service", "This book"];
const config = { batchSize: 4, maxNewTokens: 6, ppoEpochs: 2, learningRate: 1e-3, seed: 5, useScoreScaling: true };
const folders: string[] = [];
const folder = async (): Promise<string> => {
  const path = await mkdtemp(join(tmpdir(), "policyscope-test-"));
  folders.push(path);
  return path;
};
after(() => Promise.all(folders.map((path) => rm(path, { recursive: true, force: true }))));

/** Runs as a child: three steps, a save, a word to the parent, and then more work until it is killed. */
if (process.argv[2] === "train and be killed") {
  const trainer = await PPOTrainer.create({ policy: await tinyPolicy(), reward: evenTokens, prompts, config });
  for await (const { step } of trainer.run({ steps: 3 })) void step;
  await trainer.save(String(process.argv[3]));
  process.stdout.write("saved\n");
  for await (const { step } of trainer.run()) void step;
}

test("3 steps, kill -9, resume, 3 steps are 6 steps, bit for bit", { timeout: 120_000 }, async () => {
  const dir = join(await folder(), "checkpoint");
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), "train and be killed", dir], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  for await (const line of child.stdout) if (String(line).includes("saved")) break;
  child.kill("SIGKILL");

  const straight = await PPOTrainer.create({ policy: await tinyPolicy(), reward: evenTokens, prompts, config });
  for await (const { step } of straight.run({ steps: 6 })) void step;

  const resumed = await PPOTrainer.resume(dir, { reward: evenTokens, prompts });
  assert.equal(resumed.currentStep, 3);
  assert.equal(resumed.history.length, 3);
  assert.equal(resumed.policy.name, "tiny");
  for await (const { step } of resumed.run({ steps: 3 })) void step;
  assert.equal(resumed.policy.fingerprint, straight.policy.fingerprint);
  assert.equal(resumed.klCoef, straight.klCoef);
  const [ours, theirs] = [resumed.history.entries.at(-1), straight.history.entries.at(-1)];
  assert.equal(ours?.updated?.fingerprint, theirs?.updated?.fingerprint);
  assert.deepEqual(resumed.history.metric("ppo/mean_scores"), straight.history.metric("ppo/mean_scores"));
});

test("saving again replaces; what saving leaves behind is what is needed", async () => {
  const dir = await folder();
  const trainer = await PPOTrainer.create({ policy: await tinyPolicy(), reward: evenTokens, prompts, config });
  await trainer.save(dir);
  const fresh = await PPOTrainer.resume(dir, { reward: evenTokens, prompts });
  await trainer.step();
  await fresh.step();
  assert.equal(fresh.policy.fingerprint, trainer.policy.fingerprint, "a trainer saved before its first step");
  await trainer.save(dir);
  await trainer.save(dir);
  const kinds = (await readdir(dir)).map((name) => name.replace(/-.*/, "")).sort();
  assert.deepEqual(kinds, ["optimizer", "policy", "reference", "trainer.json"]);
});

const full = existsSync("/dev/full");
test("no space left: said, and the checkpoint before is intact", { skip: !full && "needs /dev/full" }, async () => {
  const dir = await folder();
  const trainer = await PPOTrainer.create({ policy: await tinyPolicy(), reward: evenTokens, prompts, config });
  await trainer.step();
  await trainer.save(dir);
  const before = await readFile(join(dir, "trainer.json"), "utf8");
  const { fingerprint } = trainer.policy;
  await trainer.step();
  await symlink("/dev/full", join(dir, "trainer.json.partial"));
  await assert.rejects(
    trainer.save(dir),
    /there is no space left to save the trainer in .*; what was saved there before is intact/,
  );
  assert.equal(await readFile(join(dir, "trainer.json"), "utf8"), before);
  assert.equal((await PPOTrainer.resume(dir, {})).policy.fingerprint, fingerprint);
  await trainer.save(dir);
  assert.equal((await PPOTrainer.resume(dir, {})).policy.fingerprint, trainer.policy.fingerprint);
});

test("what cannot be resumed from is named", async () => {
  const dir = await folder();
  await assert.rejects(
    PPOTrainer.resume(dir),
    /there is no saved trainer in .*give the folder that trainer\.save\(dir\) wrote/,
  );
  await writeFile(join(dir, "trainer.json"), "{");
  await assert.rejects(PPOTrainer.resume(dir), /trainer\.json is damaged/);
  await writeFile(join(dir, "trainer.json"), '{"format":"policyscope-ppo","version":1}');
  await assert.rejects(PPOTrainer.resume(dir), /trainer\.json is damaged: config/);
  const other = await folder();
  await writeFile(join(other, "thesis.txt"), "years of work");
  const trainer = await PPOTrainer.create({ policy: await tinyPolicy(), config });
  await assert.rejects(trainer.save(other), /holds other files \(thesis\.txt\)/);
});
