import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

// The npm registry carries Node itself; its install script is off here, so the platform's package is unpacked directly.
const platform = `${process.platform === "win32" ? "win" : process.platform}-${process.arch}`;
const versions = ["20.19.0", "22.20.0", "24.10.0"];

for (const version of versions) {
  test(`the command line, a training step, the kernel and its debugger work under Node ${version}`, {
    timeout: 300_000,
  }, (t) => {
    const folder = join(tmpdir(), `policyscope-node-${version}`);
    const node = join(folder, "package", "bin", process.platform === "win32" ? "node.exe" : "node");
    if (!existsSync(node)) {
      mkdirSync(folder, { recursive: true });
      const packed = spawnSync("npm", ["pack", `node-${platform}@${version}`, "--silent"], {
        cwd: folder,
        encoding: "utf8",
      });
      if (packed.status !== 0) return t.skip(`Node ${version} for ${platform} could not be fetched`);
      const archive = readdirSync(folder).find((file) => file.endsWith(".tgz")) ?? "";
      execFileSync("tar", ["-xzf", archive], { cwd: folder });
    }
    assert.equal(execFileSync(node, ["--version"], { encoding: "utf8" }).trim(), `v${version}`);
    const doctor = spawnSync(node, ["dist/app/cli.js", "doctor"], { encoding: "utf8" });
    assert.match(doctor.stdout, /✓ native engine/, doctor.stdout + doctor.stderr);
    const run = spawnSync(node, ["dist/app/cli.js", "run", "test/app/fixtures/smoke.ipynb"], { encoding: "utf8" });
    assert.equal(run.status, 0, run.stderr);
    assert.match(run.stdout, /one step: mean score -?\d/);
    // V8's debugger differs most from one Node to the next.
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const debug = spawnSync(node, ["--test", "dist/test/debug/debugAdapter.test.js"], { encoding: "utf8", env });
    assert.equal(debug.status, 0, debug.stdout);
  });
}
