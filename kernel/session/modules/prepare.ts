/** Prepares Node's module loader for notebooks, at the first import that needs it. */

import module from "node:module";
import process from "node:process";
import {
  furtherAttempts,
  isMissing,
  jsonAttributes,
  LocalFiles,
  loadTypeScript,
  mappedURL,
  reloadsChanged,
} from "./localModules.js";

interface Context {
  readonly parentURL: string | undefined;
  readonly importAttributes: Record<string, string> | undefined;
}
interface Found {
  readonly url: string;
}
interface SyncHooks {
  resolve(specifier: string, context: Context, next: (specifier: string, context: Context) => Found): Found;
  load(url: string, context: object, next: (url: string, context: object) => object): object;
}

let prepared = false;

/** Register the hooks, once. */
export function prepareModules(): void {
  if (prepared) return;
  prepared = true;
  process.setSourceMapsEnabled(true);
  const hotReload = reloadsChanged();
  const { registerHooks } = module as unknown as { registerHooks?: (hooks: SyncHooks) => void };
  if (registerHooks) registerHooks(syncHooks(hotReload));
  else module.register("./hooksThread.js", import.meta.url, { data: { hotReload } });
}

function syncHooks(hotReload: boolean): SyncHooks {
  const files = new LocalFiles(hotReload);
  return {
    resolve(specifier, context, next) {
      const found = ((): Found => {
        try {
          return next(mappedURL(specifier, context.parentURL) ?? specifier, context);
        } catch (error) {
          if (!isMissing(error)) throw error;
          for (const attempt of furtherAttempts(specifier, context.parentURL)) {
            try {
              return next(attempt.specifier, { ...context, parentURL: attempt.parentURL });
            } catch {
              // The first failure is the one to report.
            }
          }
          throw error;
        }
      })();
      const attributes = jsonAttributes(found.url, context.importAttributes);
      return {
        ...found,
        url: files.versioned(found.url, context.parentURL),
        ...(attributes && { importAttributes: attributes }),
        shortCircuit: true,
      } as Found;
    },
    load(url, context, next) {
      const loaded = loadTypeScript(url);
      return loaded ? { ...loaded, shortCircuit: true } : next(url, context);
    },
  };
}
