import { spawn } from "node:child_process";
import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdtemp, open, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";

/** A source package of the Python package index. */
export interface SourcePackage {
  readonly name: string;
  readonly version: string;
  /** Of the archive. */
  readonly sha256: string;
  /** Size of the archive. */
  readonly bytes: number;
}

export interface DownloadOptions {
  /** Called with bytes so far, and of the whole. */
  readonly onProgress?: ((received: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** The Python whose pip is asked; by default `POLICYSCOPE_PYTHON`, then python3, python, py. */
  readonly python?: string | undefined;
}

/**
 * Fetches a source package into `file` through pip, whose settings (index, proxy, certificates) are the user's own.
 * None of the package's code is run. What an earlier call left in `file` is gone on with.
 * @throws Error when there is no pip, no network, or the checksum is wrong (then the file is removed).
 */
export async function downloadSourcePackage(
  pkg: SourcePackage,
  file: string,
  options: DownloadOptions = {},
): Promise<void> {
  const { onProgress, signal } = options;
  const partial = await hashOfPartial(file, pkg);
  let { hash } = partial;
  let received = partial.bytes;
  onProgress?.(received, pkg.bytes);
  if (received < pkg.bytes) {
    const failures: string[] = [];
    for (const python of pythons(options.python)) {
      signal?.throwIfAborted();
      const outcome = await streamFrom(python, pkg, file, received, hash, options);
      if (outcome.ok) {
        ({ hash, received } = outcome);
        break;
      }
      if (outcome.fatal) throw new Error(outcome.message);
      failures.push(`${python}: ${outcome.message}`);
    }
    if (received < pkg.bytes) {
      throw new Error(
        `No usable pip was found, which fetches ${pkg.name} ${pkg.version} (${failures.join("; ")}). Install Python 3.9 or newer with pip, or name one in POLICYSCOPE_PYTHON.`,
      );
    }
  }
  if (received !== pkg.bytes || hash.digest("hex") !== pkg.sha256) {
    await rm(file, { force: true });
    throw new Error(
      `${pkg.name} ${pkg.version}: what came does not have the checksum ${pkg.sha256.slice(0, 16)}...: it was removed. Fetch it again.`,
    );
  }
}

function pythons(chosen: string | undefined): string[] {
  const named = chosen ?? process.env.POLICYSCOPE_PYTHON;
  return named ? [named] : process.platform === "win32" ? ["py", "python", "python3"] : ["python3", "python"];
}

async function hashOfPartial(file: string, pkg: SourcePackage): Promise<{ bytes: number; hash: Hash }> {
  const bytes = await stat(file).then(
    ({ size }) => size,
    () => 0,
  );
  const hash = createHash("sha256");
  if (bytes > pkg.bytes) {
    await rm(file, { force: true });
    return { bytes: 0, hash };
  }
  if (bytes > 0)
    for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return { bytes, hash };
}

type Outcome = { ok: true; hash: Hash; received: number } | { ok: false; fatal: boolean; message: string };

async function streamFrom(
  python: string,
  pkg: SourcePackage,
  file: string,
  from: number,
  hashSoFar: Hash,
  { onProgress, signal }: DownloadOptions,
): Promise<Outcome> {
  const child = spawn(python, ["-c", helper, pkg.name, pkg.version, String(from)], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, PIP_DISABLE_PIP_VERSION_CHECK: "1", PYTHONWARNINGS: "ignore" },
    windowsHide: true,
  });
  const abort = () => child.kill();
  signal?.addEventListener("abort", abort, { once: true });
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors = (errors + text).slice(-4000);
  });
  const ended = new Promise<number | Error>((resolve) => {
    child.on("error", resolve);
    child.on("close", (code) => resolve(code ?? -1));
  });
  let hash = hashSoFar.copy();
  let received = from;
  let output: Awaited<ReturnType<typeof open>> | undefined;
  let pending: Buffer = Buffer.alloc(0);
  try {
    for await (const piece of child.stdout as AsyncIterable<Buffer>) {
      let bytes = piece;
      if (!output) {
        // The helper's first line says from which byte it sends: a server may not know how to resume.
        pending = Buffer.concat([pending, piece]);
        const newline = pending.indexOf(10);
        if (newline < 0) continue;
        const start = Number(pending.subarray(0, newline).toString());
        if (start !== from) {
          received = 0;
          hash = createHash("sha256");
        }
        output = await open(file, start === from && from > 0 ? "r+" : "w");
        bytes = pending.subarray(newline + 1);
      }
      await output.write(bytes, 0, bytes.length, received);
      hash.update(bytes);
      received += bytes.length;
      onProgress?.(received, pkg.bytes);
    }
    await output?.sync();
  } catch (error) {
    child.kill();
    throw error;
  } finally {
    await output?.close();
    signal?.removeEventListener("abort", abort);
  }
  const code = await ended;
  signal?.throwIfAborted();
  if (code === 0 && received === pkg.bytes) return { ok: true, hash, received };
  if (code instanceof Error) return { ok: false, fatal: false, message: code.message };
  const lastLine = errors.trim().split("\n").at(-1) ?? "";
  if (code === exitNoPip) return { ok: false, fatal: false, message: lastLine || "it has no pip" };
  if (code === exitOtherPip && output === undefined) return downloadPlainly(python, pkg, file, signal);
  return {
    ok: false,
    fatal: true,
    message: `${pkg.name} ${pkg.version} could not be fetched (${received} of ${pkg.bytes} bytes came): ${lastLine || `pip ended with ${code}`}. Check the network and pip's settings (pip config list), then try again: it goes on where it stopped.`,
  };
}

const exitNoPip = 41;
const exitOtherPip = 42;

/**
 * Finds the archive as `pip download` would (same settings), but sends its bytes to standard output instead of unpacking
 * it and running its set-up code. The pieces of pip that it uses have been the same from pip 20 on.
 */
const helper = `
import os, sys
name, version, start = sys.argv[1], sys.argv[2], int(sys.argv[3])
try:
    import pip
except ImportError:
    print("it has no pip", file=sys.stderr); sys.exit(${exitNoPip})
try:
    from pip._internal.commands import create_command
    from pip._vendor.packaging.specifiers import SpecifierSet
    command = create_command("download")
    main_context = command.main_context
except Exception as error:
    print("pip %s: %s" % (pip.__version__, error), file=sys.stderr); sys.exit(${exitOtherPip})
out = sys.stdout.buffer
with main_context():
    try:
        options, _ = command.parse_args(["--no-cache-dir", "--no-binary", ":all:", "%s==%s" % (name, version)])
        session = command.get_default_session(options)
        finder = command._build_package_finder(options, session)
        found = finder.find_best_candidate(name, SpecifierSet("==" + version)).best_candidate
    except (AttributeError, TypeError) as error:
        print("pip %s: %s" % (pip.__version__, error), file=sys.stderr); sys.exit(${exitOtherPip})
    if found is None:
        print("pip found no %s %s" % (name, version), file=sys.stderr); sys.exit(1)
    headers = {"Accept-Encoding": "identity"}
    if start: headers["Range"] = "bytes=%d-" % start
    try:
        response = session.get(found.link.url.split("#")[0], headers=headers, stream=True)
        response.raise_for_status()
        out.write(b"%d\\n" % (start if response.status_code == 206 else 0))
        while True:
            chunk = response.raw.read(1 << 18)
            if not chunk: break
            out.write(chunk)
        out.flush()
    except BrokenPipeError:
        os._exit(1)
    except Exception as error:
        print("%s: %s" % (type(error).__name__, error), file=sys.stderr); sys.exit(1)
`;

/** For a pip whose insides have changed: its own download command. It cannot resume, and runs the package's set-up code to read its metadata. */
async function downloadPlainly(
  python: string,
  pkg: SourcePackage,
  file: string,
  signal: AbortSignal | undefined,
): Promise<Outcome> {
  const folder = await mkdtemp(join(dirname(file), "pip-"));
  try {
    const args = [
      "-m",
      "pip",
      "download",
      "--no-deps",
      "--no-binary",
      ":all:",
      "--dest",
      folder,
      `${pkg.name}==${pkg.version}`,
    ];
    const child = spawn(python, args, { stdio: ["ignore", "ignore", "pipe"], windowsHide: true, signal });
    let errors = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      errors = (errors + text).slice(-4000);
    });
    const code = await new Promise<number | Error>((resolve) => {
      child.on("error", resolve);
      child.on("close", (status) => resolve(status ?? -1));
    });
    signal?.throwIfAborted();
    const [archive] = await readdir(folder);
    if (code !== 0 || archive === undefined) {
      return {
        ok: false,
        fatal: true,
        message: `pip could not fetch ${pkg.name} ${pkg.version}: ${errors.trim().split("\n").at(-1)}`,
      };
    }
    await rename(join(folder, archive), file);
    const { hash, bytes } = await hashOfPartial(file, pkg);
    return { ok: true, hash, received: bytes };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
