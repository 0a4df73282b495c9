import asyncio
import time

HEADERS = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]
listeners = {}
tasks = []


async def tick():
    while listeners:
        event = b"event: tick\ndata: %.6f\n\n" % time.time()
        for send in list(listeners.values()):
            await send({"type": "http.response.body", "body": event, "more_body": True})
        await asyncio.sleep(0.05)
    tasks.clear()


async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    listeners[id(send)] = send
    if not tasks:
        tasks.append(asyncio.ensure_future(tick()))
    while (await receive())["type"] != "http.disconnect":
        pass
    del listeners[id(send)]
