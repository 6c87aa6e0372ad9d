import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KernelClient } from "../../kernel/wire/client.js";
import type { Connection, Message } from "../../kernel/wire/messages.js";
import { complaint } from "../../kernel/wire/schemas.js";

/** The kernel's entry, as a kernelspec's argv starts it. */
export const kernelArgv = [process.execPath, "dist/kernel/main.js", "{connection_file}"];

/** A kernel under test. Every message it sends is held against its schema; {@link stop} fails when one was not as it should be. */
export interface TestKernel extends AsyncDisposable {
  readonly client: KernelClient;
  /** Another client of the same kernel. */
  another(): Promise<KernelClient>;
  /** Lines the kernel logged on its stderr. */
  readonly log: () => string;
  stop(): Promise<void>;
}

/** Starts a kernel whose history lies in a folder of its own unless `env` says otherwise. */
export async function startKernel({
  env = {},
  cwd = process.cwd(),
}: {
  env?: Record<string, string>;
  cwd?: string;
} = {}): Promise<TestKernel> {
  const folder = mkdtempSync(join(tmpdir(), "history-"));
  const complaints: string[] = [];
  const watch = (client: KernelClient) => {
    client.listen((channel, message) => {
      const wrong = complaint(channel, message);
      if (wrong) complaints.push(wrong);
    });
    return client;
  };
  const [program = "", entry = "", ...rest] = kernelArgv;
  const client = watch(
    await KernelClient.spawn({
      argv: [program, join(process.cwd(), entry), ...rest],
      cwd,
      env: { ...process.env, POLICYSCOPE_HISTORY: folder, ...env },
      stdio: "pipe",
      timeout: 30_000,
    }),
  );
  let log = "";
  for (const stream of [client.process?.stdout, client.process?.stderr])
    stream?.setEncoding("utf8").on("data", (text: string) => {
      log += text;
    });
  const others: KernelClient[] = [];
  const stop = async () => {
    for (const other of others) other.close();
    await client.shutdown();
    rmSync(folder, { recursive: true, force: true });
    assert.deepEqual(complaints, [], "every message fits its schema");
  };
  return {
    client,
    another: async () => {
      const other = watch(await KernelClient.connect(client.connection as Connection));
      others.push(other);
      await other.ready(10_000);
      return other;
    },
    log: () => log,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

function withoutColour<Text extends string | undefined>(text: Text): Text | string {
  return text?.replace(/\u001b\[[\d;]*m/g, "") as Text;
}

/** The text a cell wrote to a stream, without colours. */
export function streamText(messages: readonly Message[], name: "stdout" | "stderr" = "stdout"): string {
  const streams = messages.filter(({ header, content }) => header.msg_type === "stream" && content.name === name);
  return withoutColour(streams.map(({ content }) => content.text).join(""));
}

/** The `text/plain` of a cell's result without colours, or undefined. */
export function resultText(messages: readonly Message[]): string | undefined {
  const result = messages.find(({ header }) => header.msg_type === "execute_result");
  return withoutColour((result?.content.data as Record<string, string> | undefined)?.["text/plain"]);
}

export function typesOf(messages: readonly Message[]): string[] {
  return messages.map(({ header }) => header.msg_type);
}
