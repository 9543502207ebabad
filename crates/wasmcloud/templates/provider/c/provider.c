/*
 * The provider {{name}}: greets on behalf of actors. The value GREETING of an actor's link says how.
 *
 * include/wasmcloud_provider.h describes the interface. The host calls handle_call on several threads at once.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "wasmcloud_provider.h"

/* The greeting of links without the value GREETING. */
#define DEFAULT_GREETING "Hello"

/* The longest greeting, in bytes. */
#define LONGEST_GREETING 100

/* A linked actor. */
struct link {
    struct link *next;
    char *actor;
    char *greeting;
};

struct provider {
    wasmcloud_host_interface host;
    pthread_mutex_t lock; /* of the links */
    struct link *links;
};

static int is(wasmcloud_bytes bytes, const char *text) {
    return bytes.length == strlen(text) && (bytes.length == 0 || memcmp(bytes.start, text, bytes.length) == 0);
}

static wasmcloud_bytes bytes_of(const char *text) {
    return (wasmcloud_bytes){(const uint8_t *)text, strlen(text)};
}

/* Copies bytes into a text. Returns NULL without memory. */
static char *copy(wasmcloud_bytes bytes) {
    char *text = malloc(bytes.length + 1);
    if (text == NULL) return NULL;
    if (bytes.length > 0) memcpy(text, bytes.start, bytes.length);
    text[bytes.length] = 0;
    return text;
}

static void succeed(wasmcloud_answer *answer) {
    answer->status = WASMCLOUD_DONE;
}

/* Fails with a text that lasts. */
static void fail(wasmcloud_answer *answer, const char *reason) {
    answer->status = WASMCLOUD_FAILED;
    answer->bytes = bytes_of(reason);
}

static void free_text(void *owner, wasmcloud_bytes bytes) {
    (void)bytes;
    free(owner);
}

/* Answers with a text that the host frees when it has read it. */
static void answer_with(wasmcloud_answer *answer, char *text, size_t length) {
    answer->status = WASMCLOUD_DONE;
    answer->bytes = (wasmcloud_bytes){(const uint8_t *)text, length};
    answer->owner = text;
    answer->release = free_text;
}

/* Makes a greeting of its parts, and sets its length. Returns NULL without memory. */
static char *greet(const char *greeting, wasmcloud_bytes name, size_t *length) {
    size_t first = strlen(greeting);
    *length = first + 2 + name.length + 1;
    char *text = malloc(*length);
    if (text == NULL) return NULL;
    memcpy(text, greeting, first);
    memcpy(text + first, ", ", 2);
    if (name.length > 0) memcpy(text + first + 2, name.start, name.length);
    text[*length - 1] = '!';
    return text;
}

/* Returns where the link of an actor is kept, or where one would be. */
static struct link **find(struct provider *provider, wasmcloud_bytes actor) {
    struct link **place = &provider->links;
    while (*place != NULL && !is(actor, (*place)->actor)) place = &(*place)->next;
    return place;
}

static void remove_link(struct link **place) {
    struct link *link = *place;
    if (link == NULL) return;
    *place = link->next;
    free(link->actor);
    free(link->greeting);
    free(link);
}

static void *start(const wasmcloud_host_interface *host, wasmcloud_answer *answer) {
    struct provider *provider = calloc(1, sizeof *provider);
    if (provider == NULL) {
        fail(answer, "there is no memory");
        return NULL;
    }
    provider->host = *host;
    pthread_mutex_init(&provider->lock, NULL);
    succeed(answer);
    return provider;
}

/* Returns the greeting that a link asks for. */
static wasmcloud_bytes greeting_of(const wasmcloud_link *link) {
    for (size_t i = 0; i < link->value_count; i++) {
        if (is(link->values[i].key, "GREETING")) return link->values[i].value;
    }
    return bytes_of(DEFAULT_GREETING);
}

/* Links an actor, or replaces the values of its link. */
static void bind(void *of, const wasmcloud_link *link, wasmcloud_answer *answer) {
    struct provider *provider = of;
    wasmcloud_bytes greeting = greeting_of(link);
    if (greeting.length == 0 || greeting.length > LONGEST_GREETING) {
        fail(answer, "GREETING must have 1 to 100 bytes");
        return;
    }
    struct link *new = calloc(1, sizeof *new);
    if (new != NULL) {
        new->actor = copy(link->actor);
        new->greeting = copy(greeting);
    }
    if (new == NULL || new->actor == NULL || new->greeting == NULL) {
        remove_link(&new);
        fail(answer, "there is no memory");
        return;
    }
    pthread_mutex_lock(&provider->lock);
    remove_link(find(provider, link->actor));
    new->next = provider->links;
    provider->links = new;
    pthread_mutex_unlock(&provider->lock);
    provider->host.log(provider->host.context, WASMCLOUD_INFO, bytes_of("an actor was linked"));
    succeed(answer);
}

static void drain(void *of, wasmcloud_bytes actor, wasmcloud_answer *answer) {
    (void)of;
    (void)actor;
    succeed(answer);
}

/* Releases all that is held for an actor. */
static void unbind(void *of, wasmcloud_bytes actor, wasmcloud_answer *answer) {
    struct provider *provider = of;
    pthread_mutex_lock(&provider->lock);
    remove_link(find(provider, actor));
    pthread_mutex_unlock(&provider->lock);
    succeed(answer);
}

/* Serves a call of a linked actor. */
static void handle_call(void *of, const wasmcloud_call *call, wasmcloud_answer *answer) {
    struct provider *provider = of;
    if (!is(call->operation, "Greet")) {
        fail(answer, "{{contract}} has one operation: Greet");
        return;
    }
    size_t length = 0;
    pthread_mutex_lock(&provider->lock);
    struct link *link = *find(provider, call->actor);
    char *text = link == NULL ? NULL : greet(link->greeting, call->message, &length);
    pthread_mutex_unlock(&provider->lock);
    if (link == NULL) {
        fail(answer, "the actor is not linked");
    } else if (text == NULL) {
        fail(answer, "there is no memory");
    } else {
        answer_with(answer, text, length);
    }
}

static void health(void *of, wasmcloud_answer *answer) {
    (void)of;
    succeed(answer);
}

static void stop(void *of, wasmcloud_answer *answer) {
    (void)of;
    succeed(answer);
}

static void destroy(void *of) {
    struct provider *provider = of;
    while (provider->links != NULL) remove_link(&provider->links);
    pthread_mutex_destroy(&provider->lock);
    free(provider);
}

const wasmcloud_provider_interface wasmcloud_provider = {
    WASMCLOUD_PROVIDER_MAGIC, WASMCLOUD_PROVIDER_VERSION, sizeof(wasmcloud_provider_interface),
    start, bind, drain, unbind, handle_call, health, stop, destroy,
};
