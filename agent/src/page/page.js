// Keeps the page current: every five seconds each part that changed is replaced, so that a screen reader speaks
// what is new and nothing else. Without scripts the page is complete and can be loaded again by hand.
const away = document.getElementById("away");
let asking = false;
setInterval(async () => {
  if (asking || document.hidden) return;
  asking = true;
  try {
    const answer = await fetch("/", { cache: "no-store", signal: AbortSignal.timeout(4000) });
    if (!answer.ok) throw new Error(answer.statusText);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-part]")) {
      const now = fresh.querySelector(`[data-part="${part.dataset.part}"]`);
      if (now === null) continue;
      if (part.className !== now.className) part.className = now.className;
      if (part.innerHTML !== now.innerHTML) part.innerHTML = now.innerHTML;
    }
    document.title = fresh.title;
    away.hidden = true;
  } catch {
    away.hidden = false;
  }
  asking = false;
}, 5000);
