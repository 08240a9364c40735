// Live parts of a page: the server sends a part anew when it has changed. Everything can be read
// without this. What the reader has opened or is typing stays as it is.
"use strict";

(() => {
  const live = document.getElementById("live");
  const state = document.getElementById("live-state");
  const address = live && live.dataset.live;
  if (!address) return;

  const say = (text, lost) => {
    if (state.textContent !== text) state.textContent = text;
    state.classList.toggle("lost", Boolean(lost));
  };

  const key = (element) => {
    const summary = element.querySelector("summary");
    return summary ? summary.textContent.trim() : "";
  };

  // A selector by which the element that has the focus is found again in the new part.
  const place = (element) => {
    if (!element || !live.contains(element)) return null;
    if (element.id) return `#${CSS.escape(element.id)}`;
    const href = element.getAttribute("href");
    return href ? `${element.tagName.toLowerCase()}[href="${CSS.escape(href)}"]` : null;
  };

  const show = (html) => {
    const selection = document.getSelection();
    if (selection && !selection.isCollapsed && live.contains(selection.anchorNode)) return;
    const opened = new Set([...live.querySelectorAll("details[open]")].map(key));
    const focused = place(document.activeElement);
    const part = new DOMParser().parseFromString(html, "text/html");
    for (const details of part.querySelectorAll("details")) details.open = opened.has(key(details));
    // A picture that is shown already is moved, so that it does not flicker.
    const shown = new Map([...live.querySelectorAll("img")].map((img) => [img.getAttribute("src"), img]));
    for (const img of part.querySelectorAll("img")) {
      const old = shown.get(img.getAttribute("src"));
      if (old) img.replaceWith(old);
    }
    live.replaceChildren(...part.body.childNodes);
    if (focused) live.querySelector(focused)?.focus({ preventScroll: true });
  };

  let source = null;
  const open = () => {
    source = new EventSource(address);
    source.addEventListener("part", (event) => { show(event.data); say("Live."); });
    source.addEventListener("trouble", (event) => say(`Not up to date: ${event.data}`, true));
    source.addEventListener("over", () => { source.close(); say("Ended: nothing changes any more."); });
    source.addEventListener("error", () => say("Not connected: trying again.", true));
  };
  const close = () => { source?.close(); source = null; };

  // A page that nobody looks at asks for nothing.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : source || open()));
  if (!document.hidden) open();
})();
