import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { installKernelspec, uninstallKernelspec } from "../../kernel/install.js";
import { judges } from "./court.js";

describe("programs of others run the kernel", { timeout: 300_000 }, () => {
  const judge = judges();

  judge("jupyter kernelspec lists it with its logo", ({ jupyter: env, run }) => {
    const { status, stdout, text } = run(env.program("jupyter"), ["kernelspec", "list", "--json"]);
    assert.equal(status, 0, text);
    const { resource_dir, spec } = JSON.parse(stdout).kernelspecs.policyscope;
    assert.equal(spec.interrupt_mode, "message");
    assert.equal(spec.language, "typescript");
    for (const logo of ["logo-svg.svg", "logo-64x64.png"])
      assert.ok(readFileSync(join(resource_dir, logo)).length > 100);
  });

  judge("jupyter_kernel_test passes", ({ jupyter: env, run, folder }) => {
    const suite = join(folder, "test_kernel.py");
    writeFileSync(suite, kernelTest);
    const { status, text } = run(env.python, ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-rs", suite]);
    assert.equal(status, 0, text);
    const skipped = [...text.matchAll(/SKIPPED.*/g)].map(String);
    assert.deepEqual(skipped, [], "nothing is skipped");
    assert.match(text, /\b13 passed/, "all there are");
  });

  judge("nbclient executes a notebook, and stops at an error", ({ jupyter: env, run, notebook }) => {
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

  judge("@jupyterlab/services runs it on a real server", async ({ jupyter: env, folder, env: environment }) => {
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
        env: environment,
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
        said: true,
        interrupted: "error",
        forgotten: true,
      });
    } finally {
      server.kill("SIGTERM");
      await new Promise((resolve) => server.once("exit", resolve));
    }
  });

  test("uninstall takes the registration away", () => {
    const place = { prefix: mkdtempSync(join(tmpdir(), "prefix-")) };
    const where = installKernelspec(place);
    assert.equal(uninstallKernelspec(place), where);
    assert.throws(() => uninstallKernelspec(place), /no kernel is registered/);
    rmSync(place.prefix, { recursive: true });
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

class Welcome(jupyter_kernel_test.IopubWelcomeTests):
    kernel_name = "policyscope"
    support_iopub_welcome = True

class Ours(jupyter_kernel_test.KernelTests):
    kernel_name = "policyscope"
    language_name = "typescript"
    file_extension = ".ts"
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
        {"text": "Math.hyp", "matches": {"hypot"}},
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
const asking = kernel.requestExecute({ code: "const said = await input('word? '); said", allow_stdin: true });
asking.onStdin = (message) => kernel.sendInputReply({ status: "ok", value: message.content.prompt + "yes" }, message.header);
asking.onIOPub = (message) => outputs.push(message);
await asking.done;
const said = outputs.some((m) => m.header.msg_type === "execute_result" && /word\\? yes/.test(m.content.data["text/plain"]));
const stopped = kernel.requestExecute({ code: "while (true);" });
setTimeout(() => kernel.interrupt(), 500);
const interrupted = (await stopped.done).content.status;
await kernel.restart();
const after = kernel.requestExecute({ code: "typeof said" });
const restarted = new Promise((resolve) => { after.onIOPub = (m) => m.header.msg_type === "execute_result" && resolve(m.content.data["text/plain"]); });
const forgotten = /undefined/.test(await restarted);
await session.shutdown();
console.log(JSON.stringify({ status, result, comm, subshells, said, interrupted, forgotten }));
process.exit(0);
`;
