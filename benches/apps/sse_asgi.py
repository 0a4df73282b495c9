import asyncio
import time

HEADERS = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]


async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    gone = asyncio.ensure_future(disconnected(receive))
    while not gone.done():
        event = b"event: tick\ndata: %.6f\n\n" % time.time()
        await send({"type": "http.response.body", "body": event, "more_body": True})
        await asyncio.sleep(0.05)


async def disconnected(receive):
    while (await receive())["type"] != "http.disconnect":
        pass
