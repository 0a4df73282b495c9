"use strict";
if (document.body.dataset.live === "1") {
    const socket = new WebSocket(new URL("shout", location.href.replace(/^http/, "ws")));
    const form = document.getElementById("shout");
    socket.onopen = () => { form.hidden = false; };
    socket.onmessage = (event) => {
        const line = document.createElement("li");
        line.textContent = event.data;
        document.getElementById("shouts").append(line);
    };
    form.onsubmit = (event) => {
        event.preventDefault();
        socket.send(document.getElementById("word").value);
    };
    new EventSource("ticks").addEventListener("tick", (event) => {
        document.getElementById("ticks").textContent = event.data;
    });
}
