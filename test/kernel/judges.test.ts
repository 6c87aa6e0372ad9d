import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { ensureJupyter, type JupyterEnv } from "../../app/jupyterEnv.js";
import { installKernelspec, uninstallKernelspec } from "../../kernel/install.js";

/** Programs of others that run kernels; each runs ours, registered for this test alone. */
describe("programs of others run the kernel", { timeout: 300_000 }, () => {
  let jupyter: JupyterEnv | undefined;
  let missing = "";
  let folder = "";
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "judges-"));
    try {
      jupyter = await ensureJupyter({ purpose: "test" });
    } catch (error) {
      missing = `no Jupyter here: ${(error as Error).message.split("\n")[0]}`;
      return;
    }
    installKernelspec({ prefix: join(folder, "prefix") });
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const run = (program: string, args: readonly string[], input?: string) => {
    const env = {
      ...process.env,
      JUPYTER_PATH: join(folder, "prefix", "share", "jupyter"),
      JUPYTER_DATA_DIR: join(folder, "data"),
      JUPYTER_CONFIG_DIR: join(folder, "config"),
      JUPYTER_RUNTIME_DIR: join(folder, "runtime"),
      IPYTHONDIR: join(folder, "ipython"),
      POLICYSCOPE_HISTORY: join(folder, "history"),
      PYTHONWARNINGS: "ignore",
      JUPYTER_PLATFORM_DIRS: "1",
      NODE_OPTIONS: "",
    };
    const done = spawnSync(program, args, {
      cwd: folder,
      env,
      encoding: "utf8",
      timeout: 120_000,
      ...(input === undefined ? {} : { input }),
    });
    return { status: done.status, text: `${done.stdout}${done.stderr}`, stdout: done.stdout };
  };
  const notebook = (name: string, cells: readonly (string | { source: string; tags: string[] })[]) => {
    const path = join(folder, name);
    const content = {
      nbformat: 4,
      nbformat_minor: 5,
      metadata: { kernelspec: { name: "policyscope", display_name: "TypeScript", language: "typescript" } },
      cells: cells.map((cell, index) => ({
        cell_type: "code",
        id: `cell-${index}`,
        execution_count: null,
        outputs: [],
        metadata: typeof cell === "string" ? {} : { tags: cell.tags },
        source: typeof cell === "string" ? cell : cell.source,
      })),
    };
    writeFileSync(path, JSON.stringify(content));
    return path;
  };
  const judge = (name: string, body: (env: JupyterEnv) => void | Promise<void>) =>
    test(name, async (context) => (jupyter ? body(jupyter) : context.skip(missing)));

  judge("jupyter kernelspec lists it with its logo", (env) => {
    const { status, stdout, text } = run(env.program("jupyter"), ["kernelspec", "list", "--json"]);
    assert.equal(status, 0, text);
    const { resource_dir, spec } = JSON.parse(stdout).kernelspecs.policyscope;
    assert.equal(spec.interrupt_mode, "message");
    assert.equal(spec.language, "typescript");
    for (const logo of ["logo-svg.svg", "logo-64x64.png"])
      assert.ok(readFileSync(join(resource_dir, logo)).length > 100);
  });

  judge("jupyter_kernel_test passes", (env) => {
    const suite = join(folder, "test_kernel.py");
    writeFileSync(suite, kernelTest);
    const { status, text } = run(env.python, ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-rs", suite]);
    assert.equal(status, 0, text);
    const skipped = [...text.matchAll(/SKIPPED.*/g)].map(String);
    assert.deepEqual(skipped, [], "nothing is skipped");
  });

  judge("nbclient executes a notebook, and stops at an error", (env) => {
    const path = notebook("client.ipynb", [
      'import { join } from "node:path";\nlet n: number = 20;',
      'console.log(join("a", "b"));\nn += 22;\nn',
      'display({ "text/html": "<b>x</b>", "text/plain": "x" }, { raw: true })',
      'await new Promise<void>((done) => setTimeout(() => { console.log("late"); done(); }, 20));',
    ]);
    const { status, text } = run(env.program("jupyter"), ["execute", "--inplace", path]);
    assert.equal(status, 0, text);
    const { cells } = JSON.parse(readFileSync(path, "utf8"));
    const outputs = cells.map((cell: { outputs: { output_type: string }[] }) =>
      cell.outputs.map((output) => output.output_type),
    );
    assert.deepEqual(outputs, [[], ["stream", "execute_result"], ["display_data"], ["stream"]]);
    assert.match(JSON.stringify(cells[1].outputs[1].data["text/plain"]), /42/);
    const failing = run(env.program("jupyter"), [
      "execute",
      notebook("failing.ipynb", ['throw new RangeError("too far")', "1"]),
    ]);
    assert.notEqual(failing.status, 0);
    assert.match(failing.text, /RangeError/);
    assert.match(failing.text, /too far/);
  });

  judge("nbconvert --execute writes a page", (env) => {
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

  judge("papermill sets parameters in TypeScript", (env) => {
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

  judge("nbval finds the same outputs again", (env) => {
    const path = notebook("same.ipynb", ["let x = 1;", "x + 1", 'console.log("same")']);
    assert.equal(run(env.program("jupyter"), ["execute", "--inplace", path]).status, 0);
    const { status, text } = run(env.python, [
      "-m",
      "pytest",
      "-q",
      "-p",
      "no:cacheprovider",
      "--nbval",
      "--nbval-current-env",
      "--nbval-kernel-name=policyscope",
      path,
    ]);
    assert.equal(status, 0, text);
    assert.match(text, /3 passed/);
  });

  judge("jupyter console shows results", (env) => {
    const { text } = run(
      env.program("jupyter"),
      ["console", "--kernel", "policyscope", "--simple-prompt"],
      "const a = 20 + 1;\na * 2\nexit\n",
    );
    assert.match(text, /Out\[2\]: .*42/);
  });

  judge("@jupyterlab/services runs it on a real server", async (env) => {
    const token = "judge";
    mkdirSync(join(folder, "notebooks"), { recursive: true });
    const server = spawn(
      env.python,
      [
        "-m",
        "jupyter_server",
        "--no-browser",
        "--allow-root",
        "--ServerApp.ip=127.0.0.1",
        "--ServerApp.port=0",
        `--IdentityProvider.token=${token}`,
        `--ServerApp.root_dir=${join(folder, "notebooks")}`,
      ],
      {
        env: {
          ...process.env,
          JUPYTER_PATH: join(folder, "prefix", "share", "jupyter"),
          JUPYTER_DATA_DIR: join(folder, "data"),
          JUPYTER_CONFIG_DIR: join(folder, "config"),
          JUPYTER_RUNTIME_DIR: join(folder, "runtime"),
          POLICYSCOPE_HISTORY: join(folder, "history"),
          NODE_OPTIONS: "",
        },
        stdio: ["ignore", "ignore", "pipe"],
      },
    );
    try {
      let log = "";
      const url = await new Promise<string>((resolve, reject) => {
        server.once("exit", () => reject(new Error(log)));
        server.stderr.setEncoding("utf8").on("data", (text: string) => {
          log += text;
          const found = /(http:\/\/127\.0\.0\.1:\d+\/)/.exec(log)?.[1];
          if (found) resolve(found);
        });
      });
      const client = join(folder, "client.mjs");
      writeFileSync(client, servicesClient(process.cwd()));
      const { promise, resolve } = withResolvers<string>();
      const child = spawn(process.execPath, [client, url, token], { stdio: ["ignore", "pipe", "pipe"] });
      let said = "";
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding("utf8").on("data", (text: string) => {
          said += text;
        });
      child.once("close", () => resolve(said));
      const text = await promise;
      const last = text.trim().split("\n").at(-1) ?? "";
      assert.deepEqual(JSON.parse(last.startsWith("{") ? last : JSON.stringify({ failed: text })), {
        status: "ok",
        result: true,
        comm: [{ hello: 1 }, [12]],
        subshells: true,
      });
    } finally {
      server.kill("SIGTERM");
      await new Promise((resolve) => server.once("exit", resolve));
    }
  });

  test("uninstall takes the registration away", (context) => {
    if (!jupyter) return context.skip(missing);
    const place = { prefix: join(folder, "other") };
    const where = installKernelspec(place);
    assert.equal(uninstallKernelspec(place), where);
    assert.throws(() => uninstallKernelspec(place), /no kernel is registered/);
  });
});

function withResolvers<Value>() {
  let resolve: (value: Value) => void = () => {};
  const promise = new Promise<Value>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

const kernelTest = `
import unittest
import jupyter_kernel_test

class Ours(jupyter_kernel_test.KernelTests, jupyter_kernel_test.IopubWelcomeTests):
    kernel_name = "policyscope"
    language_name = "typescript"
    file_extension = ".ts"
    support_iopub_welcome = True
    code_hello_world = "console.log('hello, world')"
    code_stderr = "console.error('oops')"
    code_page_something = "?Array"
    code_generate_error = "throw new Error('boom')"
    code_execute_result = [
        {"code": "6 * 7", "result": "42"},
        {"code": "[1, 2, 3]", "result": "[ 1, 2, 3 ]"},
        {"code": "const s: string = 'a'; s + 'b'", "result": "'ab'"},
    ]
    code_display_data = [
        {"code": "display({'text/html': '<b>1</b>', 'text/plain': '1'}, {raw: true})", "mime": "text/html"},
        {"code": "display({'image/svg+xml': '<svg/>', 'text/plain': 'svg'}, {raw: true})", "mime": "image/svg+xml"},
    ]
    completion_samples = [
        {"text": "Arr", "matches": {"Array"}},
        {"text": "JSON.str", "matches": {"stringify"}},
    ]
    complete_code_samples = ["1", "const a = 1", "function f() { return 1 }", "await 1"]
    incomplete_code_samples = ["function f() {", "const a = [1,", "\`open"]
    invalid_code_samples = ["const = 3", "let 5a"]
    code_inspect_sample = "Array"
    code_clear_output = "display.clear()"
    code_history_pattern = "6 ?* 7*"
    supported_history_operations = ("tail", "range", "search")
`;

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

const servicesClient = (root: string) => `
import { createRequire } from "node:module";
const require = createRequire(${JSON.stringify(`${root}/package.json`)});
const WebSocket = require("ws");
globalThis.WebSocket ??= WebSocket;
const { ServerConnection, KernelManager, KernelSpecManager, SessionManager } = require("@jupyterlab/services");
const [baseUrl, token] = process.argv.slice(2);
const serverSettings = ServerConnection.makeSettings({
  baseUrl, wsUrl: baseUrl.replace(/^http/, "ws"), token, appendToken: true, WebSocket, init: { cache: "no-store" },
});
for (let tries = 0; tries < 50; tries++) {
  const answered = await fetch(baseUrl + "api/status?token=" + token).then((answer) => answer.ok, () => false);
  if (answered) break;
  await new Promise((resolve) => setTimeout(resolve, 100));
}
const sessions = new SessionManager({ serverSettings, kernelManager: new KernelManager({ serverSettings }) });
const session = await sessions.startNew({ path: "probe.ipynb", name: "probe", type: "notebook", kernel: { name: "policyscope" } });
const { kernel } = session;
const outputs = [];
const run = async (code) => {
  const future = kernel.requestExecute({ code });
  future.onIOPub = (message) => outputs.push(message);
  return (await future.done).content.status;
};
const status = await run("const x: number = 6 * 7; x");
const result = outputs.some((m) => m.header.msg_type === "execute_result" && /42/.test(m.content.data["text/plain"]));
const spoken = new Promise((resolve) => kernel.registerCommTarget("probe", (comm, open) => {
  comm.onMsg = (m) => resolve([m.content.data, m.buffers.map((b) => b.byteLength)]);
  comm.send({ hello: 1 }, undefined, [new Float32Array([1, 2, 3]).buffer]);
}));
await run("const comm = Jupyter.comms.open('probe', { x: 1 }); comm.onMessage(({ data, buffers }) => comm.send(data, { buffers }))");
const comm = await spoken;
const subshells = (await kernel.info).supported_features.includes("kernel subshells");
await session.shutdown();
console.log(JSON.stringify({ status, result, comm, subshells }));
process.exit(0);
`;
