/** The part of the Chrome DevTools protocol that the debugger reads. Lines and columns count from 0. */
export interface Location {
  readonly scriptId: string;
  readonly lineNumber: number;
  readonly columnNumber?: number;
}

export interface RemoteObject {
  readonly type: string;
  readonly subtype?: string;
  readonly className?: string;
  readonly value?: unknown;
  readonly unserializableValue?: string;
  readonly description?: string;
  readonly objectId?: string;
  readonly preview?: ObjectPreview;
}

export interface ObjectPreview {
  readonly overflow: boolean;
  readonly properties: readonly {
    readonly name: string;
    readonly type: string;
    readonly value?: string;
    readonly subtype?: string;
  }[];
  readonly entries?: readonly {
    readonly key?: { readonly description?: string };
    readonly value: { readonly description?: string };
  }[];
}

export interface PropertyDescriptor {
  readonly name: string;
  readonly value?: RemoteObject;
  readonly get?: RemoteObject;
  readonly set?: RemoteObject;
  readonly enumerable?: boolean;
  readonly symbol?: RemoteObject;
}

export interface CallFrame {
  readonly callFrameId: string;
  readonly functionName: string;
  readonly location: Location;
  readonly functionLocation?: Location;
  readonly scopeChain: readonly { readonly type: string; readonly object: RemoteObject; readonly name?: string }[];
  readonly this: RemoteObject;
  readonly returnValue?: RemoteObject;
}

export interface Paused {
  readonly callFrames: readonly CallFrame[];
  readonly reason: string;
  readonly data?: { readonly scriptId?: string; readonly uncaught?: boolean } & RemoteObject;
  readonly hitBreakpoints?: readonly string[];
}

export interface ScriptParsed {
  readonly scriptId: string;
  readonly url: string;
  readonly sourceMapURL?: string;
  readonly startColumn?: number;
}

/** Speaks to V8 and checks only that an answer is an object: V8 is trusted to keep its protocol. */
export type Cdp = <Result = Record<string, never>>(
  method: string,
  params?: Readonly<Record<string, unknown>>,
) => Promise<Result>;
