// Pages work without this file. With it they stay fresh, and ask in place.
"use strict";
(() => {
  const pulse = document.querySelector(".pulse");
  const say = (state, text) => {
    if (!pulse) return;
    pulse.dataset.state = state;
    if (pulse.textContent !== text) pulse.textContent = text;
  };

  // A live page is fetched again when the console says that there is something new. Its
  // parts that change are put in the place of the old ones; where somebody is at work in
  // one, it waits.
  let fetching = false, again = false;
  async function refresh() {
    if (fetching) { again = true; return; }
    fetching = true;
    try {
      const answer = await fetch(location.href, { headers: { "Accept": "text/html" }, redirect: "follow" });
      if (answer.redirected && new URL(answer.url).pathname === "/signin") { location.assign(answer.url); return; }
      if (!answer.ok) throw new Error(answer.status);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of document.querySelectorAll("[data-fresh]")) {
        const next = page.getElementById(part.id);
        const busy = part.contains(document.activeElement) || (window.getSelection().toString() && window.getSelection().containsNode(part, true));
        if (next && !busy && next.outerHTML !== part.outerHTML) part.replaceWith(document.importNode(next, true));
      }
      say("live", "live");
    } catch (e) {
      say("lost", "no answer from the console");
    } finally {
      fetching = false;
      if (again) { again = false; setTimeout(refresh, 500); }
    }
  }

  let source = null, poll = 0;
  function listen() {
    if (source || document.hidden) return;
    source = new EventSource("/events");
    source.addEventListener("open", () => { clearInterval(poll); poll = 0; say("live", "live"); });
    source.addEventListener("news", refresh);
    source.addEventListener("error", () => {
      say("lost", "reconnecting");
      // Refused for good, as when too many listen: look now and then instead.
      if (source && source.readyState === EventSource.CLOSED) { source = null; if (!poll) poll = setInterval(refresh, 5000); }
    });
  }
  function rest() {
    if (source) source.close();
    source = null;
    clearInterval(poll);
    poll = 0;
  }
  if ("live" in document.body.dataset) {
    listen();
    // A page that nobody sees needs nothing, and browsers open few connections.
    document.addEventListener("visibilitychange", () => { if (document.hidden) rest(); else { refresh(); listen(); } });
    addEventListener("pagehide", rest);
    addEventListener("pageshow", (e) => { if (e.persisted) { refresh(); listen(); } });
  }

  // Items come as rows that the console made.
  const list = document.querySelector("[data-tail]");
  if (list) {
    const stream = new EventSource(list.dataset.tail);
    const counter = document.getElementById("arrived");
    let arrived = 0;
    stream.addEventListener("open", () => say("live", "live"));
    stream.addEventListener("items", (e) => {
      const news = JSON.parse(e.data);
      const rows = new DOMParser().parseFromString("<ul>" + news.html + "</ul>", "text/html").querySelectorAll("ul > li");
      for (const row of [...rows].reverse()) {
        row.classList.add("new");
        list.prepend(document.importNode(row, true));
      }
      while (list.children.length > 50) list.lastElementChild.remove();
      document.querySelector("[data-no-items]")?.remove();
      arrived += news.count;
      if (counter) counter.textContent = arrived.toLocaleString("en") + " since this page was opened";
    });
    stream.addEventListener("end", () => { stream.close(); say("off", "the crawl has ended"); });
    stream.addEventListener("error", () => say("lost", stream.readyState === EventSource.CLOSED ? "not live: reload" : "reconnecting"));
    addEventListener("pagehide", () => stream.close());
  }

  // Questions are asked in place; without this they have a page of their own.
  document.addEventListener("click", async (e) => {
    const link = e.target.closest("a[data-ask]");
    if (!link || e.ctrlKey || e.metaKey || e.shiftKey || e.button !== 0) return;
    e.preventDefault();
    try {
      const answer = await fetch(link.href, { headers: { "Accept": "text/html" } });
      const ask = answer.ok && new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(".ask");
      if (!ask) throw new Error("no question");
      const box = document.createElement("dialog");
      box.setAttribute("aria-labelledby", "ask-title");
      box.append(document.importNode(ask, true));
      box.querySelector("[data-back]")?.addEventListener("click", (e) => { e.preventDefault(); box.close(); });
      box.addEventListener("close", () => box.remove());
      document.body.append(box);
      box.showModal();
    } catch {
      location.assign(link.href);
    }
  });

  // A mistake leads to its line of the spec.
  document.addEventListener("click", (e) => {
    const link = e.target.closest("a[data-line]");
    const text = document.getElementById("spec");
    if (!link || !text) return;
    e.preventDefault();
    const lines = text.value.split("\n"), line = Number(link.dataset.line);
    const from = lines.slice(0, line - 1).reduce((n, l) => n + l.length + 1, 0);
    text.focus();
    text.setSelectionRange(from, from + (lines[line - 1] || "").length);
    text.scrollTop = (line - 4) * parseFloat(getComputedStyle(text).lineHeight);
  });

  // Tick all of a list.
  document.querySelector("[data-all]")?.addEventListener("change", (e) => {
    for (const box of document.querySelectorAll("input[name=id]")) box.checked = e.target.checked;
  });
})();
