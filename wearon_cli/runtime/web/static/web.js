// Live parts of a page: the server sends a part anew when it has changed. Everything can be read
// without this. What the reader has opened or is typing stays as it is.
"use strict";

// The address of the login: it is used once somebody sees it, not when a browser fetches it ahead.
(() => {
  const form = document.getElementById("login");
  const submit = () => { if (!document.hidden) form.requestSubmit(); };
  if (!form) return;
  document.addEventListener("visibilitychange", submit);
  submit();
})();

(() => {
  const live = document.getElementById("live");
  const state = document.getElementById("live-state");
  const address = live && live.dataset.live;
  if (!address) return;

  const say = (text, lost) => {
    if (state.textContent !== text) state.textContent = text;
    state.classList.toggle("lost", Boolean(lost));
  };

  const summaryOf = (details) => details?.querySelector("summary")?.textContent.trim() ?? "";

  // What can have the focus or be scrolled, and the name by which it is found again in a new part.
  const HELD = "a[href], summary, button, [tabindex]";
  const nameOf = (element) => [
    element.tagName, element.id, element.getAttribute("href"), element.getAttribute("aria-label"),
    summaryOf(element.closest("details")),
  ].join("|");

  const show = (html) => {
    const selection = document.getSelection();
    if (selection && !selection.isCollapsed && live.contains(selection.anchorNode)) return;
    const opened = new Set([...live.querySelectorAll("details[open]")].map(summaryOf));
    const focused = live.contains(document.activeElement) ? nameOf(document.activeElement) : null;
    const scrolled = new Map([...live.querySelectorAll(HELD)].map(
      (each) => [nameOf(each), [each.scrollLeft, each.scrollTop]]));
    const part = new DOMParser().parseFromString(html, "text/html");
    for (const details of part.querySelectorAll("details")) details.open = opened.has(summaryOf(details));
    // A picture that is shown already is moved, so that it does not flicker.
    const shown = new Map([...live.querySelectorAll("img")].map((img) => [img.getAttribute("src"), img]));
    for (const img of part.querySelectorAll("img")) {
      const old = shown.get(img.getAttribute("src"));
      if (old) img.replaceWith(old);
    }
    live.replaceChildren(...part.body.childNodes);
    const held = [...live.querySelectorAll(HELD)];
    for (const each of held) [each.scrollLeft, each.scrollTop] = scrolled.get(nameOf(each)) ?? [0, 0];
    if (focused) held.find((each) => nameOf(each) === focused)?.focus({ preventScroll: true });
  };

  // A browser tries again by itself only while it gets no answer; these are answers.
  const REFUSED = {
    401: "Not live: this browser is logged out. Reload the page to see how to log in.",
    404: "Not live: this page no longer exists.",
    503: "Not live: too many live pages are open. Trying again.",
  };
  const AGAIN_MS = 10000;

  let source = null;
  let again = 0;
  const open = () => {
    source = new EventSource(address);
    source.addEventListener("part", (event) => { show(event.data); say("Live."); });
    source.addEventListener("trouble", (event) => say(`Not up to date: ${event.data}`, true));
    source.addEventListener("over", () => { source.close(); say("Ended: no further changes."); });
    source.addEventListener("error", (event) => {
      if (event.target.readyState === EventSource.CLOSED) tellRefusal(event.target);
      else say("Not connected: trying again.", true);
    });
  };
  const close = () => { source?.close(); source = null; clearTimeout(again); };
  const tellRefusal = async (refused) => {
    const asked = new AbortController();
    const answer = await fetch(address, { signal: asked.signal }).catch(() => null);
    asked.abort();
    if (source !== refused) return;
    say(REFUSED[answer?.status] ?? "Not connected: trying again.", true);
    if ([401, 404].includes(answer?.status)) return;
    again = setTimeout(() => { close(); open(); }, AGAIN_MS);
  };

  // A page that nobody looks at asks for nothing.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : source || open()));
  if (!document.hidden) open();
})();
