import assert from "node:assert/strict";
import { test } from "node:test";
import type { Message } from "../../kernel/wire/messages.js";
import { resultText, startKernel } from "./startKernel.js";

const timeout = 20_000;

test("a breakpoint in a cell: dumpCell, setBreakpoints, stopped, variables, continue", {
  timeout: 60_000,
}, async () => {
  await using kernel = await startKernel();
  const { client } = kernel;
  let seq = 0;
  const debug = async (command: string, args: object = {}) => {
    const request = { type: "request", seq: ++seq, command, arguments: args };
    const { reply } = await client.request("control", "debug_request", request, { timeout });
    assert.equal(reply.content.request_seq, request.seq);
    assert.equal(reply.content.success, true, JSON.stringify(reply.content));
    return reply.content.body as Record<string, unknown>;
  };
  const event = (name: string) =>
    new Promise<Message>((resolve) => {
      const stop = client.listen((channel, message) => {
        if (channel !== "iopub" || message.header.msg_type !== "debug_event" || message.content.event !== name) return;
        stop();
        resolve(message);
      });
    });
  const { reply } = await client.request("shell", "kernel_info_request", {}, { timeout });
  assert.equal(reply.content.debugger, true);

  assert.equal((await debug("debugInfo")).isStarted, false);
  const initialized = event("initialized");
  await debug("initialize", { clientID: "test", adapterID: "", linesStartAt1: true, columnsStartAt1: true });
  await debug("attach", { justMyCode: true });
  await initialized;
  const code = "let n = 20;\nn += 1;\nn * 2";
  const { sourcePath } = await debug("dumpCell", { code });
  const { breakpoints } = await debug("setBreakpoints", { source: { path: sourcePath }, breakpoints: [{ line: 3 }] });
  assert.equal((breakpoints as { verified: boolean }[])[0]?.verified, true);
  await debug("configurationDone");
  const stopped = event("stopped");
  const cell = client.execute(code, { timeout });
  assert.equal(((await stopped).content.body as Record<string, unknown>).reason, "breakpoint");
  const { stackFrames } = await debug("stackTrace", { threadId: 1 });
  const [top] = stackFrames as { line: number; id: number }[];
  assert.equal(top?.line, 3);
  const { result } = await debug("evaluate", { expression: "n", frameId: top?.id });
  assert.equal(result, "21");
  await debug("continue", { threadId: 1 });
  assert.equal(resultText((await cell).iopub), "42");
  await debug("disconnect", { restart: false, terminateDebuggee: true });
  assert.equal((await client.execute("1", { timeout })).reply.content.status, "ok");
});
