import { spawnSync } from "node:child_process";
import { type Check, diagnoseKernel } from "../kernel/install.js";
import { homeFolder } from "./folders.js";
import { findPython, JupyterUnavailable } from "./jupyterEnv.js";

/**
 * Prints what works here and what to do about what does not.
 * @returns the exit code: 0 if everything that policyscope needs works
 */
export async function doctor(): Promise<number> {
  const checks: Check[] = [
    ...(await diagnoseKernel()),
    await engine(),
    python(),
    { name: "home folder", ok: true, detail: homeFolder() },
  ];
  for (const { name, ok, detail, remedy } of checks) {
    console.log(`${mark(ok)} ${name.padEnd(22)} ${detail}`);
    if (!ok && remedy) console.log(`  ${" ".repeat(22)} → ${remedy}`);
  }
  return checks.every(({ ok }) => ok) ? 0 : 1;
}

/** Coloured in a terminal only. */
function mark(ok: boolean): string {
  const [sign, colour] = ok ? ["✓", 32] : ["✗", 31];
  return process.stdout.isTTY ? `\u001b[${colour}m${sign}\u001b[0m` : sign;
}

/** Whether the native engine computes. */
async function engine(): Promise<Check> {
  const name = "native engine";
  try {
    const [{ Graph }, { matMul }, { program }] = await Promise.all([
      import("../src/graph/graph.js"),
      import("../src/graph/ops.js"),
      import("../src/graph/program.js"),
    ]);
    const { ortEngine } = await import("../src/engine/ort.js");
    const { float32 } = await import("../src/tensor.js");
    const graph = new Graph();
    const x = graph.input("x", "float32", [1, 2]);
    const y = graph.input("y", "float32", [2, 1]);
    const engine = ortEngine();
    const run = await engine.compile(program({ z: matMul(x, y) }));
    const { z } = await run.run({ x: float32([1, 2], [3, 4]), y: float32([2, 1], [10, 1]) });
    await run.dispose();
    if (z?.data[0] !== 34) throw new Error(`3·10 + 4·1 came out as ${z?.data[0]}`);
    return { name, ok: true, detail: `${engine.name} computes` };
  } catch (error) {
    return {
      name,
      ok: false,
      detail: (error as Error).message,
      remedy:
        "reinstall with `npm install --ignore-scripts policyscope` (the CPU library comes in the package; its install script only fetches GPU libraries)",
    };
  }
}

function python(): Check {
  const name = "Python for JupyterLab";
  try {
    const { path, version } = findPython();
    const venv = spawnSync(path, ["-c", "import venv, ensurepip"]).status === 0;
    return venv
      ? { name, ok: true, detail: `${version} (${path})` }
      : {
          name,
          ok: false,
          detail: `${version}, without the venv module`,
          remedy: "Debian, Ubuntu: apt install python3-venv",
        };
  } catch (error) {
    if (!(error instanceof JupyterUnavailable)) throw error;
    return { name, ok: false, detail: error.reason, remedy: error.remedy };
  }
}
