import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
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
    const script = run(env.program("jupyter"), ["nbconvert", "--to", "script", "--stdout", path]);
    assert.match(script.stdout, /const answer: number = 6 \* 7;/);
  });

  judge("papermill sets parameters in TypeScript", ({ jupyter: env, run, notebook, folder }) => {
    const path = notebook("mill.ipynb", [
      { source: 'let steps = 3;\nlet name = "none";\nlet on = false;', tags: ["parameters"] },
      "console.log(steps * 2, name, on)",
    ]);
    const out = join(folder, "mill-out.ipynb");
    const driver = join(folder, "mill.py");
    writeFileSync(driver, papermillDriver);
    const { status, text } = run(env.python, [driver, path, out]);
    assert.equal(status, 0, text);
    const { cells } = JSON.parse(readFileSync(out, "utf8"));
    const printed = JSON.stringify(cells.at(-1).outputs).replace(/\\u001b\[\d+m/g, "");
    assert.match(printed, /42 it's \\\\"quoted\\\\" true|42 it's \\"quoted\\" true/);
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

const papermillDriver = `
import sys
import papermill as pm
from papermill.translators import PythonTranslator, papermill_translators, Translator

class TypeScript(Translator):
    @classmethod
    def translate_bool(cls, value): return "true" if value else "false"
    @classmethod
    def translate_none(cls, value): return "null"
    @classmethod
    def translate_str(cls, value):
        import json
        return json.dumps(value)
    @classmethod
    def translate_list(cls, value): return "[" + ", ".join(cls.translate(v) for v in value) + "]"
    @classmethod
    def translate_dict(cls, value): return "{" + ", ".join(cls.translate_str(k) + ": " + cls.translate(v) for k, v in value.items()) + "}"
    @classmethod
    def comment(cls, text): return "// " + text
    @classmethod
    def assign(cls, name, value): return "let " + name + " = " + value + ";"

papermill_translators.register("typescript", TypeScript)
pm.execute_notebook(sys.argv[1], sys.argv[2], parameters={"steps": 21, "name": 'it\\'s "quoted"', "on": True}, progress_bar=False, kernel_name="policyscope", language="typescript")
`;
