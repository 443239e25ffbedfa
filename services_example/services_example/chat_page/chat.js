// The page of the chat. Text is only ever put in as text, never as markup.
const PAUSES_MS = [500, 1000, 2000, 5000, 10000];
const part = (id) => document.getElementById(id);
const seen = new Set();
let socket = null;
let name = "";
let failures = 0;

function tell(state, words) {
  part("status").dataset.state = state;
  if (part("status").textContent !== words) part("status").textContent = words;
  part("say").querySelector("button").disabled = state !== "in";
}

function element(tag, className, ...children) {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...children);
  return made;
}

function drawn(posted) {
  if (posted.kind !== "said") return element("li", "note", `${posted.author} ${posted.kind}`);
  const time = element("time", "", new Date(posted.at * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
  time.dateTime = new Date(posted.at * 1000).toISOString();
  const who = element("div", "who", element("strong", "", posted.author), " ", time);
  return element("li", posted.author === name ? "own" : "", who, element("p", "what", posted.text));
}

function show(posted) {
  if (seen.has(posted.id)) return;
  seen.add(posted.id);
  const lines = part("lines");
  const atEnd = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 40;
  lines.append(drawn(posted));
  if (atEnd) lines.scrollTop = lines.scrollHeight;
}

function connect() {
  const address = new URL("chat/socket", location.href);
  address.protocol = address.protocol.replace("http", "ws");
  address.searchParams.set("name", name);
  tell("out", "Connecting");
  socket = new WebSocket(address);
  socket.addEventListener("message", ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === "posted") return show(message);
    failures = 0;
    message.history.forEach(show);
    tell("in", `Connected as ${name}`);
  });
  socket.addEventListener("close", ({ code, reason }) => {
    if (code === 1007 || code === 1008) return tell("failed", `Closed by the host: ${reason}`);
    tell("failed", code === 1001 ? "This host is going away, trying again" : "Connection lost, trying again");
    setTimeout(connect, PAUSES_MS[Math.min(failures++, PAUSES_MS.length - 1)]);
  });
}

part("join").addEventListener("submit", (event) => {
  event.preventDefault();
  name = part("name").value.trim();
  if (!name) return;
  part("join").hidden = true;
  part("room").hidden = false;
  connect();
  part("text").focus();
});

part("say").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = part("text").value.trim();
  if (!text || socket.readyState !== WebSocket.OPEN) return;
  socket.send(JSON.stringify({ text }));
  part("text").value = "";
});

tell("out", "Not connected");
