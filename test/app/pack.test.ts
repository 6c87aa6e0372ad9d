import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

const folder = mkdtempSync(join(tmpdir(), "policyscope-pack-"));
after(() => rmSync(folder, { recursive: true, force: true }));

test("the packed package works when installed into an empty folder: library, command line, kernel, model", {
  timeout: 400_000,
}, (t) => {
  execFileSync("npm", ["pack", "--silent", "--pack-destination", folder]);
  const archive = join(folder, readdirSync(folder).find((file) => file.endsWith(".tgz")) ?? "");
  assert.ok(statSync(archive).size < 16e6, `the package has ${(statSync(archive).size / 1e6).toFixed(1)} MB`);
  const home = join(folder, "elsewhere");
  execFileSync(process.execPath, ["-e", `require("fs").mkdirSync(${JSON.stringify(home)})`]);
  writeFileSync(join(home, "package.json"), `{"name": "elsewhere", "private": true}`);
  const install = spawnSync(
    "npm",
    ["install", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", archive],
    {
      cwd: home,
      encoding: "utf8",
    },
  );
  if (install.status !== 0 && /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT/.test(install.stderr)) {
    return t.skip("no network for the package's dependencies");
  }
  assert.equal(install.status, 0, install.stderr);

  for (const file of ["lab.txt", "constraints.txt", "papermill_typescript.py"])
    assert.ok(existsSync(join(home, "node_modules/policyscope/app/python", file)), `${file} is in the package`);

  writeFileSync(
    join(home, "library.mjs"),
    `import { loadModel, loadDataset, PPOTrainer, rewards } from "policyscope";
     const policy = await loadModel("tiny-reviews");
     const prompts = await loadDataset("tiny-reviews/prompts");
     const trainer = await PPOTrainer.create({ policy, prompts, reward: rewards.vader(), config: { dialect: "trl-0.11", batchSize: 2, maxNewTokens: 4, seed: 1 } });
     const updated = await trainer.step();
     console.log("mean score", updated.stats["ppo/mean_scores"]);`,
  );
  const run = (...args: string[]) => spawnSync(process.execPath, args, { cwd: home, encoding: "utf8" });
  const library = run("library.mjs");
  assert.match(library.stdout, /mean score -?\d/, library.stderr);

  const cli = "node_modules/policyscope/dist/app/cli.js";
  assert.match(run(cli, "--version").stdout, /^\d+\.\d+\.\d+/);
  writeFileSync(
    join(home, "hello.ipynb"),
    JSON.stringify({
      cells: [
        {
          cell_type: "code",
          metadata: {},
          source: `import { loadModel } from "policyscope";\nconst answer: number = await Promise.resolve(6 * 7);\nconsole.log("kernel says", answer, typeof loadModel);`,
          outputs: [],
          execution_count: null,
        },
      ],
      metadata: {},
      nbformat: 4,
      nbformat_minor: 4,
    }),
  );
  const kernel = run(cli, "run", "hello.ipynb");
  assert.match(kernel.stdout, /kernel says 42 function/, kernel.stderr);
});
