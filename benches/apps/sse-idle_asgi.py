import asyncio

HEADERS = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]


async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    gone = asyncio.ensure_future(disconnected(receive))
    while not gone.done():
        await send({"type": "http.response.body", "body": b":\n\n", "more_body": True})
        await asyncio.sleep(1)


async def disconnected(receive):
    while (await receive())["type"] != "http.disconnect":
        pass
