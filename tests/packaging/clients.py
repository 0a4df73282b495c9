"""Clients that count. Runs inside the box: python3 clients.py PORT FILE

Sends requests over kept connections and over a new connection for each, until FILE exists, and prints what became of
them as JSON. A kept connection that the server closes between two requests is opened again, as any client does; a
request that was sent and not answered is a failure, and so is a connection that is refused.
"""

import http.client
import json
import os
import sys
import threading

CLIENTS = 8


def ask(connection, counts):
    """One request; returns whether the connection can be used again."""
    connection.request("GET", "/")
    response = connection.getresponse()
    body = response.read()
    ok = response.status == 200 and body
    counts["ok" if ok else f"status {response.status}"] = counts.get("ok" if ok else f"status {response.status}", 0) + 1
    return not response.will_close


def client(port, stop, keep, counts):
    connection = None
    while not os.path.exists(stop):
        fresh = connection is None
        try:
            connection = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            if not ask(connection, counts) or not keep:
                connection.close()
                connection = None
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            connection = None
            closed_between = not fresh and isinstance(error, (http.client.RemoteDisconnected, BrokenPipeError,
                                                              ConnectionResetError))
            kind = "closed between requests" if closed_between else f"{type(error).__name__}: {error}"
            counts[kind] = counts.get(kind, 0) + 1


def main():
    port, stop = int(sys.argv[1]), sys.argv[2]
    all_counts = [{} for _ in range(CLIENTS)]
    threads = [threading.Thread(target=client, args=(port, stop, number % 2 == 0, counts))
               for number, counts in enumerate(all_counts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = {}
    for counts in all_counts:
        for kind, number in counts.items():
            total[kind] = total.get(kind, 0) + number
    print(json.dumps(total))


main()
