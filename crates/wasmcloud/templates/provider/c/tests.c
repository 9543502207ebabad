/* Tests of {{name}}.c: a host of their own calls the provider by its table. */
#undef NDEBUG
#include <assert.h>
#include <stdio.h>

#include "../{{name}}.c"

static void log_line(void *context, uint32_t level, wasmcloud_bytes text) {
    (void)context;
    (void)level;
    (void)text;
}

static const wasmcloud_host_interface host = {.size = sizeof(wasmcloud_host_interface), .log = log_line};

/* Links the actor "A", and returns the status of the answer. */
static uint32_t link_with(void *provider, const char *greeting) {
    wasmcloud_pair value = {bytes_of("GREETING"), bytes_of(greeting)};
    wasmcloud_link link = {.actor = bytes_of("A"), .values = &value, .value_count = 1};
    wasmcloud_answer answer = {.status = WASMCLOUD_UNANSWERED};
    wasmcloud_provider.bind(provider, &link, &answer);
    return answer.status;
}

/* Calls the provider as an actor, and expects an answer. */
static void expect(void *provider, const char *actor, const char *operation, uint32_t status, const char *text) {
    wasmcloud_call call = {.id = 1, .actor = bytes_of(actor), .operation = bytes_of(operation), .message = bytes_of("world")};
    wasmcloud_answer answer = {.status = WASMCLOUD_UNANSWERED};
    wasmcloud_provider.handle_call(provider, &call, &answer);
    assert(answer.status == status);
    assert(is(answer.bytes, text));
    if (answer.release != NULL) answer.release(answer.owner, answer.bytes);
}

int main(void) {
    wasmcloud_answer answer = {.status = WASMCLOUD_UNANSWERED};
    void *provider = wasmcloud_provider.start(&host, &answer);
    assert(provider != NULL && answer.status == WASMCLOUD_DONE);

    expect(provider, "A", "Greet", WASMCLOUD_FAILED, "the actor is not linked");
    assert(link_with(provider, "Good morning") == WASMCLOUD_DONE);
    expect(provider, "A", "Greet", WASMCLOUD_DONE, "Good morning, world!");
    expect(provider, "B", "Greet", WASMCLOUD_FAILED, "the actor is not linked");
    expect(provider, "A", "Nope", WASMCLOUD_FAILED, "{{contract}} has one operation: Greet");

    /* A link that is refused leaves the earlier one as it was, and another one replaces it. */
    assert(link_with(provider, "") == WASMCLOUD_FAILED);
    expect(provider, "A", "Greet", WASMCLOUD_DONE, "Good morning, world!");
    assert(link_with(provider, "Good night") == WASMCLOUD_DONE);
    expect(provider, "A", "Greet", WASMCLOUD_DONE, "Good night, world!");

    wasmcloud_provider.unbind(provider, bytes_of("A"), &answer);
    expect(provider, "A", "Greet", WASMCLOUD_FAILED, "the actor is not linked");
    wasmcloud_provider.stop(provider, &answer);
    wasmcloud_provider.destroy(provider);
    puts("all is well");
    return 0;
}
