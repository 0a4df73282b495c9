/* What Rust sees of libperl: plain functions that never longjmp into their caller, and plain structs.
 * Every function must be called on the thread that started Perl (EMB-1). */
#ifndef PAGI_BRIDGE_H
#define PAGI_BRIDGE_H

#include <stddef.h>
#include <stdint.h>

/* Results of a call into Perl. */
enum { PAGI_OK = 0, PAGI_DIED = 1, PAGI_EXIT = 2 };

/* Results of reading a value. */
enum { PAGI_READ_OK = 0, PAGI_READ_WIDE = 1, PAGI_READ_TYPE = 2, PAGI_READ_UNICODE = 3 };

/* States of a Future. */
enum { PAGI_PENDING = 0, PAGI_DONE = 1, PAGI_FAILED = 2, PAGI_CANCELLED = 3, PAGI_NOT_A_FUTURE = 4 };

/* Hash keys, interned once. The first ones are `Key` in perl/event.rs, in its order. */
enum {
    K_TYPE, K_STATUS, K_HEADERS, K_TRAILERS, K_BODY, K_FILE, K_FH, K_OFFSET, K_LENGTH, K_MORE, K_DATA, K_EVENT, K_ID,
    K_RETRY, K_COMMENT, K_INTERVAL, K_REASON, K_MESSAGE, K_TEXT, K_BYTES, K_CODE, K_SUBPROTOCOL,
    K_TIMEOUT, K_PAGI, K_VERSION, K_SPEC_VERSION, K_IS_WORKER, K_WORKER_NUM,
    K_HTTP_VERSION, K_METHOD, K_SCHEME, K_PATH, K_RAW_PATH, K_QUERY_STRING, K_ROOT_PATH, K_CLIENT, K_SERVER, K_STATE,
    K_EXTENSIONS, K_CONNECTION, K_TRANSPORT, K_FULLFLUSH, K_SUBPROTOCOLS, K_WS_DENIAL, K_READY, K_RESULT, K_FAILURE, K_CANCELLED, K_CALLBACKS,
    K_TLS, K_SERVER_CERT, K_CLIENT_CERT_CHAIN, K_CLIENT_CERT_NAME, K_CLIENT_CERT_ERROR, K_TLS_VERSION, K_CIPHER_SUITE,
    K_REQUEST_ID,
    K_COUNT
};

struct pagi_str {
    const char *ptr;
    size_t len;
};

struct pagi_header {
    struct pagi_str name;
    struct pagi_str value;
};

enum { SCOPE_HTTP = 0, SCOPE_SSE = 1, SCOPE_WEBSOCKET = 2 };

struct pagi_scope {
    int kind;
    int path_is_text;
    int fullflush;
    struct pagi_str http_version, method, scheme, path, raw_path, query_string, root_path;
    struct pagi_str request_id;  /* ptr is NULL where requests have no names */
    struct pagi_str client_host; /* ptr is NULL without a client (SCOPE-6) */
    int client_port;
    struct pagi_str server_host;
    int server_port; /* -1: a Unix socket */
    const struct pagi_header *headers;
    size_t header_count;
    const struct pagi_str *subprotocols;
    size_t subprotocol_count;
    const struct pagi_tls *tls; /* NULL on cleartext connections (TLS-1) */
};

/* The facts of a TLS session. A string whose ptr is NULL is unknown. */
struct pagi_tls {
    struct pagi_str server_cert, client_cert_name, client_cert_error;
    const struct pagi_str *client_cert_chain;
    size_t client_cert_count;
    int version;
    int cipher_suite;
};

#endif
