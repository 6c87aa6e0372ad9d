import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe } from "node:test";
import { judges } from "./court.js";

describe("converters and runners of others run the kernel", { timeout: 300_000 }, () => {
  const judge = judges();

  judge("nbconvert --execute writes a page", ({ jupyter: env, run, notebook }) => {
    const path = notebook("page.ipynb", ['const answer: number = 6 * 7;\n"the answer is " + answer']);
    const { status, text, stdout } = run(env.program("jupyter"), [
      "nbconvert",
      "--execute",
      "--to",
      "html",
      "--stdout",
      path,
    ]);
    assert.equal(status, 0, text);
    assert.match(stdout, /the answer is 42/);
    // The script's ending comes from what a kernel has said of its language, so the notebook has to have run once.
    assert.equal(run(env.program("jupyter"), ["execute", "--inplace", path]).status, 0);
    assert.equal(run(env.program("jupyter"), ["nbconvert", "--to", "script", path]).status, 0);
    const script = readFileSync(path.replace(/ipynb$/, "ts"), "utf8");
    assert.match(script, /const answer: number = 6 \* 7;/);
  });

  judge("jupyter run runs a file", ({ jupyter: env, run, folder }) => {
    const file = join(folder, "file.ts");
    writeFileSync(file, 'const n: number = 6;\nconsole.log("seven times", n, "is", 7 * n);\n');
    const { status, text } = run(env.program("jupyter"), ["run", "--kernel", "policyscope", file]);
    assert.equal(status, 0, text);
    assert.match(text.replace(/\u001b\[\d+m/g, ""), /seven times 6 is 42/);
  });

  judge("papermill sets parameters in TypeScript", ({ jupyter: env, run, notebook, folder }) => {
    const path = notebook("mill.ipynb", [
      {
        source:
          'let steps = 3; // how many\nlet name: string = "none";\nlet active = false;\nlet rest: unknown = null;',
        tags: ["parameters"],
      },
      "console.log(JSON.stringify([steps * 2, name, active, rest]))",
    ]);
    const out = join(folder, "mill-out.ipynb");
    const script = resolve("app/python/papermill_typescript.py");
    const given = `{steps: 21, name: "it's \\"quoted\\" Zoë 👋", active: true, rest: [1.5, null, {a: "b\\n"}]}`;
    const { status, text } = run(env.python, [script, path, out, "-y", given, "--no-progress-bar"]);
    assert.equal(status, 0, text);
    const { cells } = JSON.parse(readFileSync(out, "utf8"));
    assert.deepEqual(JSON.parse(cells.at(-1).outputs[0].text.join("")), [
      42,
      'it\'s "quoted" Zoë 👋',
      true,
      [1.5, null, { a: "b\n" }],
    ]);
    const help = run(env.python, [script, "--help-notebook", path]);
    assert.match(help.text, /steps: Unknown type \(default 3\)\s+how many[\s\S]*name: string \(default "none"\)/);
    const alone = run(env.program("papermill"), [path, out, "-p", "steps", "4", "--no-progress-bar"]);
    assert.match(alone.text, /No parameter translator functions specified for kernel/, "papermill learnt it by itself");
  });

  judge("nbval finds the same outputs again", ({ jupyter: env, run, notebook }) => {
    const path = notebook("same.ipynb", ["let x = 1;", "x + 1", 'console.log("same")']);
    assert.equal(run(env.program("jupyter"), ["execute", "--inplace", path]).status, 0);
    const { status, text } = run(env.python, [
      "-m",
      "pytest",
      "-q",
      "-p",
      "no:cacheprovider",
      "--nbval",
      "--nbval-kernel-name=policyscope",
      path,
    ]);
    assert.equal(status, 0, text);
    assert.match(text, /3 passed/);
  });

  judge("jupyter console shows results", ({ jupyter: env, run }) => {
    const { text } = run(
      env.program("jupyter"),
      ["console", "--kernel", "policyscope", "--simple-prompt"],
      "const a = 20 + 1;\na * 2\nexit\n",
    );
    assert.match(text, /Out\[2\]: .*42/);
  });
});
