// The package eventsource (Debian's node-eventsource): prints the IDs of the first events at a URL.
// usage: node sse_resume.cjs URL NUMBER
const loaded = require('eventsource');
const EventSource = loaded.EventSource ?? loaded;
const [url, number] = process.argv.slice(2);
const ids = [];
const source = new EventSource(url);
source.onmessage = event => {
  ids.push(Number(event.lastEventId));
  if (ids.length === Number(number)) {
    source.close();
    console.log(JSON.stringify(ids));
  }
};
