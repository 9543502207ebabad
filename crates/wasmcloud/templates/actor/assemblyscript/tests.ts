// Tests of assembly/handler.ts. Each exported function is a test; `npm test` compiles and runs them.

import { handle } from "../assembly/handler";
import { Request } from "../assembly/http";

function request(method: string, path: string, body: string): Request {
  const request = new Request();
  request.method = method;
  request.path = path;
  request.body = String.UTF8.encode(body);
  return request;
}

export function greets(): void {
  const response = handle(request("GET", "/", ""));
  assert(response.statusCode == 200);
  assert(response.text == "Hello from {{name}}!\n");
}

export function shouts_what_it_is_sent(): void {
  assert(handle(request("POST", "/shout", "hello")).text == "HELLO");
}

export function knows_no_other_path(): void {
  assert(handle(request("GET", "/other", "")).statusCode == 404);
}
