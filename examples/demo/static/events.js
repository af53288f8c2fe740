// Puts events on top of the list as they happen. Without it, the page has a link to itself.
const list = document.getElementById("events");
const state = document.getElementById("state");
const button = document.getElementById("pause");
const most = 50;
let last = list.dataset.last;
let stream;

function listen() {
  stream = new EventSource(list.dataset.stream + "?after=" + last);
  stream.onopen = () => say("live", "Live: new events appear by themselves.");
  stream.onmessage = (message) => {
    last = message.lastEventId;
    document.getElementById("none")?.remove();
    list.insertAdjacentHTML("afterbegin", message.data); // A line of the site's own template.
    while (list.children.length > most) list.lastElementChild.remove();
  };
  stream.onerror = () => {
    // The browser tries again by itself, unless the answer was that it must not.
    if (stream.readyState === EventSource.CLOSED) {
      button.hidden = true;
      say("", "Your session has ended. Load the page again to sign in.");
    } else {
      say("", "The connection is lost. Trying again …");
    }
  };
}

function say(style, text) {
  state.className = "state " + style;
  state.textContent = text;
}

button.hidden = false;
button.addEventListener("click", () => {
  const paused = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", paused);
  stream.close();
  if (paused) say("", "Paused.");
  else listen();
});
listen();
