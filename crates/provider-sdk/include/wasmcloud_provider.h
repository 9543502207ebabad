/*
 * The C interface between the wasmCloud host and capability providers that are native plugins. Version 1.
 *
 * A plugin is a shared library that exports one constant, a table of functions:
 *
 *     const wasmcloud_provider_interface wasmcloud_provider = {
 *         WASMCLOUD_PROVIDER_MAGIC, WASMCLOUD_PROVIDER_VERSION, sizeof(wasmcloud_provider_interface),
 *         start, bind, drain, unbind, handle_call, health, stop, destroy,
 *     };
 *
 * The host checks the magic, version and size before it calls a function. Then it calls `start` once, and passes the result
 * to the other functions. It calls `handle_call` and `health` on several threads concurrently, and all other functions in
 * order. All functions may block.
 *
 * The arguments of a function belong to the caller, and are valid until the function returns. Results come as a
 * wasmcloud_answer, and are freed by the side that allocated them. Texts are UTF-8 without a terminating zero. Neither
 * exceptions nor longjmp may cross the interface. If one does, the process ends.
 */
#ifndef WASMCLOUD_PROVIDER_H
#define WASMCLOUD_PROVIDER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WASMCLOUD_PROVIDER_MAGIC {'w', 'm', 'c', 'l', 'd', 'p', 'r', 'v'}
#define WASMCLOUD_PROVIDER_VERSION 1u

/* The statuses of an answer. */
#define WASMCLOUD_DONE 0u                /* success: the bytes are the result */
#define WASMCLOUD_FAILED 1u              /* failure: the bytes are the reason */
#define WASMCLOUD_PANICKED 2u            /* failure: the bytes are the reason, and the host restarts the provider */
#define WASMCLOUD_TIMED_OUT 3u           /* from the host: the actor did not answer before the deadline */
#define WASMCLOUD_UNAVAILABLE 4u         /* from the host: the actor does not run, is not linked, or is busy */
#define WASMCLOUD_UNANSWERED 0xffffffffu /* the initial status, before the function fills in the answer */

/* The severity of a line in the log. */
#define WASMCLOUD_ERROR 1u
#define WASMCLOUD_WARN 2u
#define WASMCLOUD_INFO 3u
#define WASMCLOUD_DEBUG 4u
#define WASMCLOUD_TRACE 5u

/* Borrowed bytes. `start` may be NULL if there are none. */
typedef struct {
    const uint8_t *start;
    size_t length;
} wasmcloud_bytes;

/* One value of a link. */
typedef struct {
    wasmcloud_bytes key;
    wasmcloud_bytes value;
} wasmcloud_pair;

/*
 * The answer of a function. The caller sets `status` to WASMCLOUD_UNANSWERED and all other fields to zero. The function
 * fills them in. The caller reads the bytes, and then calls `release(owner, bytes)` unless `release` is NULL.
 */
typedef struct {
    uint32_t status;
    wasmcloud_bytes bytes;
    void *owner;
    void (*release)(void *owner, wasmcloud_bytes bytes);
} wasmcloud_answer;

/* A link between an actor and the provider. The values may contain secrets. */
typedef struct {
    wasmcloud_bytes actor;      /* the actor's public key */
    wasmcloud_bytes actor_name; /* the name that the signer gave the actor */
    wasmcloud_bytes issuer;     /* the public key of the account that signed the actor */
    const wasmcloud_bytes *capabilities;
    size_t capability_count;
    const wasmcloud_bytes *tags;
    size_t tag_count;
    const wasmcloud_pair *values;
    size_t value_count;
    uint64_t expires; /* when the actor's token expires, in seconds since 1970; 0 if it does not */
} wasmcloud_link;

/* A call of an actor to the provider. */
typedef struct {
    uint64_t id;        /* for `within` of calls to actors that are part of this call; never 0 */
    uint64_t time_left; /* the time until the call's deadline, in milliseconds */
    wasmcloud_bytes actor;
    wasmcloud_bytes operation;
    wasmcloud_bytes message;
} wasmcloud_call;

/* A call of the provider to an actor. */
typedef struct {
    uint64_t within; /* the id of the call that this call is part of; 0 if it is part of none */
    wasmcloud_bytes actor;
    wasmcloud_bytes operation;
    wasmcloud_bytes message;
} wasmcloud_actor_call;

/*
 * Is called once with the answer of an actor. The answer belongs to the host. All answers to a provider come on one thread, so
 * this function must not block. It may call actors with `call_actor_then`, but not with `call_actor`.
 */
typedef void (*wasmcloud_actor_answered)(void *asker, const wasmcloud_answer *answer);

/*
 * The functions of the host. They can be called from any thread until `destroy` returns, and afterwards while the context is
 * retained. The struct itself is valid until `start` returns: copy it.
 */
typedef struct {
    uint32_t version;
    uint32_t size;
    void *context;
    void (*retain)(void *context);
    void (*release)(void *context);
    /* Calls an actor and blocks until it answers. */
    void (*call_actor)(void *context, const wasmcloud_actor_call *call, wasmcloud_answer *answer);
    /* Calls an actor without waiting. `answered` is called with `asker` and the answer later. */
    void (*call_actor_then)(void *context, const wasmcloud_actor_call *call, wasmcloud_actor_answered answered,
                            void *asker);
    /* Writes a line to the host's log. */
    void (*log)(void *context, uint32_t level, wasmcloud_bytes text);
} wasmcloud_host_interface;

/* The table of a plugin: a constant named `wasmcloud_provider`. No function may be NULL. */
typedef struct {
    uint8_t magic[8];
    uint32_t version;
    uint32_t size;
    /* Starts a provider and returns it. On failure, returns NULL and answers with the reason. */
    void *(*start)(const wasmcloud_host_interface *host, wasmcloud_answer *answer);
    /* Establishes a link, or replaces its values. On failure, the earlier link stays in effect. */
    void (*bind)(void *provider, const wasmcloud_link *link, wasmcloud_answer *answer);
    /* Starts no more calls to an actor, and waits for those in flight. */
    void (*drain)(void *provider, wasmcloud_bytes actor, wasmcloud_answer *answer);
    /* Removes a link. All its resources must be released when this returns. */
    void (*unbind)(void *provider, wasmcloud_bytes actor, wasmcloud_answer *answer);
    /* Serves a call, within `time_left`. */
    void (*handle_call)(void *provider, const wasmcloud_call *call, wasmcloud_answer *answer);
    /* Checks the health of the provider. WASMCLOUD_DONE means healthy. */
    void (*health)(void *provider, wasmcloud_answer *answer);
    /* Releases all resources and ends all work. Only `destroy` is called afterwards. */
    void (*stop)(void *provider, wasmcloud_answer *answer);
    /* Frees the provider. When this returns, none of its threads may run in the library. */
    void (*destroy)(void *provider);
} wasmcloud_provider_interface;

#ifdef __cplusplus
}
#endif

#endif
