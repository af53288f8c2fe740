// Keeps the look into the store up to date. Without it, the page has a link to itself.
const look = document.getElementById("look");
let shown;

setInterval(async () => {
  if (document.hidden) return;
  try {
    const answer = await fetch("/look");
    const text = await answer.text();
    if (answer.ok && text !== shown) look.innerHTML = shown = text; // Of the site's own template.
  } catch {
    // The program has ended, or is about to answer again.
  }
}, 1000);
