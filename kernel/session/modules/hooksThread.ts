/** Loader hooks for Node before 22.15, which runs them in a thread of their own. */
import type { InitializeHook, LoadHook, ResolveHook } from "node:module";
import { furtherAttempts, isMissing, jsonAttributes, LocalFiles, loadTypeScript, mappedURL } from "./localModules.js";

let files = new LocalFiles(true);

/** Takes the options that `module.register` was given. */
export const initialize: InitializeHook<{ hotReload: boolean }> = ({ hotReload }) => {
  files = new LocalFiles(hotReload);
};

/** Find a module: Node's way, then the further ones. */
export const resolve: ResolveHook = async (specifier, context, next) => {
  const { parentURL } = context;
  const found = await (async () => {
    try {
      return await next(mappedURL(specifier, context.parentURL) ?? specifier, context);
    } catch (error) {
      if (!isMissing(error)) throw error;
      for (const attempt of furtherAttempts(specifier, parentURL)) {
        try {
          return await next(attempt.specifier, { ...context, parentURL: attempt.parentURL });
        } catch {
          // The first failure is the one to report.
        }
      }
      throw error;
    }
  })();
  const attributes = jsonAttributes(found.url, context.importAttributes as Record<string, string>);
  return {
    ...found,
    url: files.versioned(found.url, parentURL),
    ...(attributes && { importAttributes: attributes }),
    shortCircuit: true,
  };
};

/** Load TypeScript as JavaScript. */
export const load: LoadHook = async (url, context, next) => {
  const module = loadTypeScript(url);
  return module ? { ...module, shortCircuit: true } : next(url, context);
};
