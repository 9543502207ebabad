/*
 * Capability providers for the wasmCloud host as native plugins: the interface between host and plugin, version 1.
 *
 * A plugin is a shared library that exports one constant, a table of functions:
 *
 *     const wasmcloud_provider_interface wasmcloud_provider = {
 *         WASMCLOUD_PROVIDER_MAGIC, WASMCLOUD_PROVIDER_VERSION, sizeof(wasmcloud_provider_interface),
 *         start, bind, drain, unbind, handle_call, health, stop, destroy,
 *     };
 *
 * The host looks at its magic, version and size before it calls anything. Then it calls `start` once, and the other
 * functions with what `start` returned. Calls come from several threads at once; everything but `handle_call` and `health`
 * comes one after the other. All functions may block.
 *
 * What one side passes the other to look at, it owns and keeps until the function returns. What is given to keep comes as
 * a wasmcloud_answer, and goes back to the side that made it to be freed. Texts are UTF-8 without a zero at the end.
 * Neither exceptions nor longjmp may cross: where one does, the process ends.
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

/* What came of something. */
#define WASMCLOUD_DONE 0u                /* the bytes are the result */
#define WASMCLOUD_FAILED 1u              /* the bytes are a text that says why */
#define WASMCLOUD_PANICKED 2u            /* the same, and the provider has to be made anew */
#define WASMCLOUD_TIMED_OUT 3u           /* from the host: the actor did not answer in time */
#define WASMCLOUD_UNAVAILABLE 4u         /* from the host: the actor does not run, is not linked or has too much to do */
#define WASMCLOUD_UNANSWERED 0xffffffffu /* nobody has answered yet */

/* How much a line on the log matters. */
#define WASMCLOUD_ERROR 1u
#define WASMCLOUD_WARN 2u
#define WASMCLOUD_INFO 3u
#define WASMCLOUD_DEBUG 4u
#define WASMCLOUD_TRACE 5u

/* Bytes to look at; `start` may be NULL where there are none. */
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
 * What a function answers. Whoever asks sets `status` to WASMCLOUD_UNANSWERED and everything else to zero; whoever is asked
 * fills it in; whoever asked calls `release(owner, bytes)` once it has read the bytes, unless `release` is NULL.
 */
typedef struct {
    uint32_t status;
    wasmcloud_bytes bytes;
    void *owner;
    void (*release)(void *owner, wasmcloud_bytes bytes);
} wasmcloud_answer;

/* A link that the provider is to take. The values may hold secrets. */
typedef struct {
    wasmcloud_bytes actor;      /* its public key */
    wasmcloud_bytes actor_name; /* the name that its signer gave it */
    wasmcloud_bytes issuer;     /* the account that signed it */
    const wasmcloud_bytes *capabilities;
    size_t capability_count;
    const wasmcloud_bytes *tags;
    size_t tag_count;
    const wasmcloud_pair *values;
    size_t value_count;
    uint64_t expires; /* when its token ends, in seconds since 1970; 0 if it does not */
} wasmcloud_link;

/* A call of an actor. */
typedef struct {
    uint64_t id;        /* what calls of actors as part of this call are made `within` */
    uint64_t time_left; /* how long the actor waits, in milliseconds */
    wasmcloud_bytes actor;
    wasmcloud_bytes operation;
    wasmcloud_bytes message;
} wasmcloud_call;

/* A call to an actor. */
typedef struct {
    uint64_t within; /* the id of the call that it is part of; 0 where the provider calls of its own accord */
    wasmcloud_bytes actor;
    wasmcloud_bytes operation;
    wasmcloud_bytes message;
} wasmcloud_actor_call;

/*
 * Brings an answer, which belongs to the host, once, on a thread that brings further answers to the same provider and must not
 * be held up. It may call further actors, but not wait for them.
 */
typedef void (*wasmcloud_actor_answered)(void *asker, const wasmcloud_answer *answer);

/*
 * What a provider can ask of its host. Its functions can be called from any thread, until `destroy` returns or for as long
 * as the context is retained. The struct itself lasts until `start` returns: copy it.
 */
typedef struct {
    uint32_t version;
    uint32_t size;
    void *context;
    void (*retain)(void *context);
    void (*release)(void *context);
    /* Calls an actor and waits for its answer. */
    void (*call_actor)(void *context, const wasmcloud_actor_call *call, wasmcloud_answer *answer);
    /* Calls an actor and does not wait: `answered` is called with its answer later. */
    void (*call_actor_then)(void *context, const wasmcloud_actor_call *call, wasmcloud_actor_answered answered,
                            void *asker);
    /* Writes a line on the host's log. */
    void (*log)(void *context, uint32_t level, wasmcloud_bytes text);
} wasmcloud_host_interface;

/* The table of a plugin: a constant named `wasmcloud_provider`. No function may be NULL. */
typedef struct {
    uint8_t magic[8];
    uint32_t version;
    uint32_t size;
    /* Makes a provider, or answers why it cannot and returns NULL. */
    void *(*start)(const wasmcloud_host_interface *host, wasmcloud_answer *answer);
    /* Takes a link, or new values for one; what is refused leaves in effect what was before. */
    void (*bind)(void *provider, const wasmcloud_link *link, wasmcloud_answer *answer);
    /* Begins no more calls to an actor, and waits for those under way. */
    void (*drain)(void *provider, wasmcloud_bytes actor, wasmcloud_answer *answer);
    /* Lets go of a link: everything acquired for it is released when this returns. */
    void (*unbind)(void *provider, wasmcloud_bytes actor, wasmcloud_answer *answer);
    /* Serves a call, within `time_left`. */
    void (*handle_call)(void *provider, const wasmcloud_call *call, wasmcloud_answer *answer);
    /* Tells how the provider is: WASMCLOUD_DONE where it is well. */
    void (*health)(void *provider, wasmcloud_answer *answer);
    /* Releases everything, and ends what is under way. After it, only `destroy` is called. */
    void (*stop)(void *provider, wasmcloud_answer *answer);
    /* Frees the provider. No thread of it may run in the library any more when this returns. */
    void (*destroy)(void *provider);
} wasmcloud_provider_interface;

#ifdef __cplusplus
}
#endif

#endif
