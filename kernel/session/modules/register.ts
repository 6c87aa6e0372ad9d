/** Loaded with --import by workers and child processes that a cell starts from a TypeScript file. */
import { prepareModules } from "./prepare.js";

prepareModules();
