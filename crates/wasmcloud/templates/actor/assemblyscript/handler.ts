// What the actor does. tests/index.ts tests it.

import { Request, Response } from "./http";

/** Answers an HTTP request. */
export function handle(request: Request): Response {
  if (request.method == "GET" && request.path == "/") {
    return new Response(200, "OK", "Hello from {{name}}!\n");
  }
  if (request.method == "POST" && request.path == "/shout") {
    return new Response(200, "OK", request.text().toUpperCase());
  }
  return new Response(404, "Not Found", "");
}
