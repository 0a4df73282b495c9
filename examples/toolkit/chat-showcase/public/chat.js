const $ = id => document.getElementById(id);
const state = { session: localStorage.getItem('session'), room: 'general', joined: new Set(), last: 0, delay: 1000, heard: 0 };
let socket;

document.body.classList.toggle('dark', localStorage.getItem('theme') === 'dark');
$('theme').onclick = () => {
  const dark = document.body.classList.toggle('dark');
  localStorage.setItem('theme', dark ? 'dark' : 'light');
};

function line(text, kind) {
  const p = document.createElement('p');
  p.className = kind;
  p.textContent = text;
  $('log').append(p);
  $('log').scrollTop = $('log').scrollHeight;
}

function list(id, items, click) {
  $(id).replaceChildren(...items.map(([text, here]) => {
    const li = document.createElement('li');
    li.textContent = text;
    li.className = here ? 'here' : '';
    if (click) li.onclick = () => click(text);
    return li;
  }));
}

function say(message) {
  state.last = Math.max(state.last, message.id);
  line(message.type === 'action' ? `* ${message.from} ${message.text}` : `${message.from}: ${message.text}`, 'message');
}

const people = users => list('people', users.map(user => [user.name, false]));

function enter(room, history, users) {
  state.room = room;
  state.joined.add(room);
  $('log').replaceChildren();
  line(`You are in ${room}`, 'note');
  history.forEach(say);
  people(users);
  send({ type: 'get_rooms' });
}

const handlers = {
  connected(m) { state.session = m.session_id; localStorage.setItem('session', m.session_id); },
  resumed(m) {
    m.rooms.forEach(room => state.joined.add(room));
    if (m.rooms.length && !m.rooms.includes(state.room)) state.room = m.rooms[0];
    line(`Welcome back, ${m.name}`, 'note');
    (m.missedMessages[state.room] || []).forEach(say);
    send({ type: 'get_rooms' });
    send({ type: 'get_users', room: state.room });
  },
  joined(m) { enter(m.room, m.history, m.users); },
  left(m) { state.joined.delete(m.room); state.room = 'general'; send({ type: 'get_history', room: 'general' }); send({ type: 'get_users', room: 'general' }); },
  history(m) { if (m.room === state.room) { $('log').replaceChildren(); m.messages.forEach(say); } },
  message(m) { if (m.room === state.room) say(m); },
  action(m) { if (m.room === state.room) say(m); },
  user_joined(m) { if (m.room === state.room) { line(`${m.user} has come`, 'note'); people(m.users); } },
  user_left(m) { if (m.room === state.room) { line(`${m.user} has left`, 'note'); people(m.users); } },
  nick_changed(m) { if (m.room === state.room) { line(`${m.old_name} is ${m.new_name} now`, 'note'); people(m.users); } },
  user_list(m) { if (m.room === state.room) people(m.users); },
  room_list(m) { list('rooms', m.rooms.map(room => [room.name, room.name === state.room]), go); },
  typing(m) { if (m.room === state.room) $('typing').textContent = m.typing ? `${m.user} is typing` : ''; },
  pm(m) { line(`${m.from} to you: ${m.text}`, 'private'); },
  pm_sent(m) { line(`you to ${m.to}: ${m.text}`, 'private'); },
  system(m) { line(m.text, 'note'); },
  error(m) { line(m.message, 'note error'); },
  ping(m) { send({ type: 'pong', ts: m.ts }); },
  pong() {},
};

function send(message) { if (socket && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message)); }

function go(room) {
  if (!state.joined.has(room)) return send({ type: 'join', room });
  state.room = room;
  for (const type of ['get_history', 'get_users', 'get_rooms']) send({ type, room });
}

function connect() {
  const query = new URLSearchParams({ name: $('name').value, session: state.session || '', lastMsgId: state.last });
  socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/ws/chat?${query}`);
  socket.onopen = () => { $('state').textContent = 'connected'; state.delay = 1000; state.heard = Date.now(); };
  socket.onmessage = event => {
    state.heard = Date.now();
    const message = JSON.parse(event.data);
    if (handlers[message.type]) handlers[message.type](message);
  };
  socket.onclose = () => {
    $('state').textContent = 'connecting again';
    setTimeout(connect, state.delay);
    state.delay = Math.min(state.delay * 2, 30000);
  };
}

setInterval(() => send({ type: 'ping', ts: Date.now() }), 10000);
setInterval(() => { if (socket && Date.now() - state.heard > 35000) socket.close(); }, 5000);

$('login').onsubmit = event => {
  event.preventDefault();
  $('login').hidden = true;
  document.querySelector('main').hidden = false;
  connect();
  const events = new EventSource('/events');
  events.addEventListener('stats', event => {
    $('stats').replaceChildren(...Object.entries(JSON.parse(event.data)).flatMap(([name, value]) =>
      ['dt', 'dd'].map((tag, i) => Object.assign(document.createElement(tag), { textContent: [name, value][i], id: i ? name : '' }))));
  });
  for (const type of ['room_created', 'room_deleted']) events.addEventListener(type, () => send({ type: 'get_rooms' }));
};

let typing;
$('text').oninput = () => {
  if (!typing) send({ type: 'typing', room: state.room, typing: true });
  clearTimeout(typing);
  typing = setTimeout(() => { typing = null; send({ type: 'typing', room: state.room, typing: false }); }, 2000);
};
$('say').onsubmit = event => {
  event.preventDefault();
  send({ type: 'message', room: state.room, text: $('text').value });
  $('text').value = '';
};
