"use strict";
const rows = [...document.querySelectorAll(".turns tbody tr")];
const search = document.querySelector("#search");
const found = document.querySelector("#found");
const words = new Map(rows.map((row) => [row, row.querySelector(".said")?.textContent ?? ""]));

function show(row, wanted) {
  const said = row.querySelector(".said");
  const text = words.get(row);
  const hit = wanted === "" || row.textContent.toLowerCase().includes(wanted);
  row.hidden = !hit;
  if (!said) return hit;
  said.textContent = text;
  const at = wanted === "" ? -1 : text.toLowerCase().indexOf(wanted);
  if (at >= 0) {
    const mark = document.createElement("mark");
    mark.textContent = text.slice(at, at + wanted.length);
    said.replaceChildren(text.slice(0, at), mark, text.slice(at + wanted.length));
  }
  return hit;
}

search.addEventListener("input", () => {
  const wanted = search.value.trim().toLowerCase();
  const hits = rows.filter((row) => show(row, wanted)).length;
  found.textContent = wanted === "" ? "" : `${hits} of ${rows.length} turns`;
});

const player = new Audio();
let playing = null;
function label(button, on) {
  button.textContent = on ? "stop" : "play";
  button.setAttribute("aria-pressed", String(on));
}
function stop() {
  player.pause();
  if (playing) label(playing, false);
  playing = null;
}
player.addEventListener("ended", stop);
for (const button of document.querySelectorAll("button[data-clip]")) {
  button.addEventListener("click", () => {
    const again = playing === button;
    stop();
    if (again) return;
    playing = button;
    label(button, true);
    player.src = button.dataset.clip;
    player.play().catch(stop);
  });
}
