;; A guest that tells operations apart by the lengths of their names: `Echo` returns the payload, `Crash` traps, and any
;; other makes the host call that the payload describes, as the guest `host_call` does.
(module
  (import "wapc" "__guest_request" (func $request (param i32 i32)))
  (import "wapc" "__guest_response" (func $respond (param i32 i32)))
  (import "wapc" "__host_call" (func $host_call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wapc" "__host_response_len" (func $response_length (result i32)))
  (import "wapc" "__host_response" (func $response (param i32)))
  (import "wapc" "__host_error_len" (func $error_length (result i32)))
  (import "wapc" "__host_error" (func $error (param i32)))
  (memory (export "memory") 2)
  (func (export "__guest_call") (param $operation i32) (param $payload i32) (result i32)
    (local $namespace i32) (local $name i32) (local $message i32)
    (if (i32.eq (local.get $operation) (i32.const 5)) (then unreachable))
    (call $request (i32.const 0) (i32.const 16))
    (if (i32.eq (local.get $operation) (i32.const 4)) (then
      (call $respond (i32.const 16) (local.get $payload))
      (return (i32.const 1))))
    ;; The binding is at 32, after four lengths at 16.
    (local.set $namespace (i32.add (i32.const 32) (i32.load (i32.const 16))))
    (local.set $name (i32.add (local.get $namespace) (i32.load (i32.const 20))))
    (local.set $message (i32.add (local.get $name) (i32.load (i32.const 24))))
    (if (call $host_call
      (i32.const 32) (i32.load (i32.const 16))
      (local.get $namespace) (i32.load (i32.const 20))
      (local.get $name) (i32.load (i32.const 24))
      (local.get $message) (i32.load (i32.const 28)))
    (then
      (i32.store8 (i32.const 65535) (i32.const 1))
      (call $response (i32.const 65536))
      (call $respond (i32.const 65535) (i32.add (call $response_length) (i32.const 1))))
    (else
      (i32.store8 (i32.const 65535) (i32.const 0))
      (call $error (i32.const 65536))
      (call $respond (i32.const 65535) (i32.add (call $error_length) (i32.const 1)))))
    (i32.const 1)))
