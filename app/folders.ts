import { homedir } from "node:os";
import { join } from "node:path";

/**
 * Where this program keeps what outlives a run (the private Python environment). `POLICYSCOPE_HOME` moves it;
 * otherwise the platform's convention: XDG on Linux, Application Support on macOS, LOCALAPPDATA on Windows.
 */
export function homeFolder(env: NodeJS.ProcessEnv = process.env, platform: NodeJS.Platform = process.platform): string {
  if (env.POLICYSCOPE_HOME) return env.POLICYSCOPE_HOME;
  if (platform === "darwin") return join(homedir(), "Library", "Application Support", "policyscope");
  if (platform === "win32") return join(env.LOCALAPPDATA ?? join(homedir(), "AppData", "Local"), "policyscope");
  return join(env.XDG_DATA_HOME ?? join(homedir(), ".local", "share"), "policyscope");
}
