const show = (id, text) => { document.getElementById(id).textContent = text; };
const events = new EventSource('/events/metrics');
events.addEventListener('metrics', event => show('metrics', event.data));

const socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/ws/echo`);
socket.onopen = () => socket.send(JSON.stringify({ hello: 'from the page' }));
socket.onmessage = event => show('echo', event.data);
