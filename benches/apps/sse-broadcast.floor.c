/* What no server can go below: accept, read the request, and then one send() for each event and listener. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LISTENERS = 1024, PERIOD_MS = 50 };

static const char head[] = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

static long milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void join(int listener, int *clients, int *count)
{
    char request[4096];
    int one = 1, client = accept(listener, NULL, NULL);
    if (client < 0)
        return;
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (*count == LISTENERS || recv(client, request, sizeof request, 0) <= 0
        || send(client, head, sizeof head - 1, MSG_NOSIGNAL) < 0)
        close(client);
    else
        clients[(*count)++] = client;
}

static void tell_all(int *clients, int *count)
{
    char event[128];
    struct timespec now;
    int length, i;
    clock_gettime(CLOCK_REALTIME, &now);
    length = snprintf(event, sizeof event, "25\r\nevent: tick\ndata: %ld.%06ld\n\n\r\n", now.tv_sec, now.tv_nsec / 1000);
    for (i = 0; i < *count; i++)
        if (send(clients[i], event, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN) {
            close(clients[i]);
            clients[i--] = clients[--*count];
        }
}

int main(int argc, char **argv)
{
    static int clients[LISTENERS];
    int count = 0, one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[argc - 1])) };
    long next = milliseconds() + PERIOD_MS;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, LISTENERS) < 0) {
        perror("sse-broadcast.floor");
        return 1;
    }
    for (;;) {
        struct pollfd wait = { .fd = listener, .events = POLLIN };
        long left = next - milliseconds();
        if (poll(&wait, 1, left > 0 ? (int)left : 0) > 0)
            join(listener, clients, &count);
        if (milliseconds() >= next) {
            tell_all(clients, &count);
            next += PERIOD_MS;
        }
    }
}
