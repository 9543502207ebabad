// The actor {{name}}: answers HTTP requests. This file registers a function for each operation; handler.ts has what they do.

import { Result, handleAbort, handleCall, register } from "@wapc/as-guest";
import { handle } from "./handler";
import { Request, healthy } from "./http";

function handleRequest(payload: ArrayBuffer): Result<ArrayBuffer> {
  return Result.ok(handle(Request.decode(payload)).encode());
}

function healthRequest(_payload: ArrayBuffer): Result<ArrayBuffer> {
  return Result.ok(healthy());
}

register("HandleRequest", handleRequest);
register("HealthRequest", healthRequest);

export function __guest_call(operationSize: usize, payloadSize: usize): bool {
  return handleCall(operationSize, payloadSize);
}

/** Tells the host of a `throw` or a failed assertion: `--use abort=` in package.json names this function to the compiler. */
function abort(message: string | null, fileName: string | null, line: u32, column: u32): void {
  handleAbort(message, fileName, line, column);
  unreachable();
}
