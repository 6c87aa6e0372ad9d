import { homedir } from "node:os";
import { join } from "node:path";

/**
 * The folder for what was fetched and can be fetched again. `POLICYSCOPE_CACHE` moves it; otherwise the platform's
 * convention: `$XDG_CACHE_HOME` or ~/.cache, ~/Library/Caches on macOS, %LOCALAPPDATA% on Windows.
 */
export function cacheFolder(
  env: NodeJS.ProcessEnv = process.env,
  platform: NodeJS.Platform = process.platform,
): string {
  if (env.POLICYSCOPE_CACHE) return env.POLICYSCOPE_CACHE;
  if (platform === "darwin") return join(homedir(), "Library", "Caches", "policyscope");
  if (platform === "win32")
    return join(env.LOCALAPPDATA ?? join(homedir(), "AppData", "Local"), "policyscope", "Cache");
  return join(env.XDG_CACHE_HOME || join(homedir(), ".cache"), "policyscope");
}
