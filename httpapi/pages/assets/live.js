// Keeps an open document's page up to date: whenever the ledger says that
// something happened, the page is read again and what changed is put in its
// place. Without this script the page shows the same after a reload.
"use strict";
(() => {
  const article = document.querySelector("article[data-live]");
  if (!article || !window.EventSource) return;

  const parts = ["head", "parties", "files", "signatures", "keeping", "actions"];
  let source, timer, reading = false, again = false;

  const newest = () => {
    const last = document.querySelector("#timeline > li:last-child");
    return last ? last.dataset.position : "0";
  };

  // A form that somebody has begun to fill in stays as it is.
  const inUse = (part) =>
    part.contains(document.activeElement) ||
    [...part.querySelectorAll("textarea, input[type=file]")].some((field) => field.value !== "");

  // A form's hidden key is another one in every page and is no change.
  const shape = (part) => {
    const copy = part.cloneNode(true);
    copy.querySelectorAll("input[name=key]").forEach((field) => field.remove());
    return copy.innerHTML;
  };

  const put = (page) => {
    // Of a destroyed document nothing stays on the screen.
    const now = page.querySelector("article[data-live]");
    if (now && now.dataset.gone !== article.dataset.gone) { location.reload(); return; }
    for (const id of parts) {
      const old = document.getElementById(id), fresh = page.getElementById(id);
      if (old && fresh) {
        if (shape(old) !== shape(fresh) && !inUse(old)) old.replaceWith(document.adoptNode(fresh));
      } else if (old && !inUse(old)) {
        old.remove();
      } else if (fresh) {
        document.getElementById("parties").before(document.adoptNode(fresh));
      }
    }
    const list = document.getElementById("timeline");
    const shown = new Set([...list.children].map((row) => row.dataset.position));
    for (const row of page.querySelectorAll("#timeline > li")) {
      if (!shown.has(row.dataset.position)) {
        const added = document.adoptNode(row);
        added.classList.add("new");
        list.append(added);
      }
    }
    document.querySelectorAll("section.side-column > .empty").forEach((note) => note.remove());
  };

  const read = async () => {
    if (reading) { again = true; return; }
    reading = true;
    try {
      const answer = await fetch(location.href.split("#")[0], { credentials: "same-origin" });
      if (answer.ok) put(new DOMParser().parseFromString(await answer.text(), "text/html"));
      else if (answer.status === 401 || answer.status === 404) close();
    } catch { /* The next event reads the page again. */ }
    reading = false;
    if (again) { again = false; soon(); }
  };
  const soon = () => { clearTimeout(timer); timer = setTimeout(read, 150); };

  const close = () => { if (source) source.close(); source = undefined; };
  const open = () => {
    if (source) return;
    source = new EventSource(article.dataset.live + "?after=" + newest());
    source.onopen = () => { document.getElementById("live").hidden = false; };
    source.onerror = () => { document.getElementById("live").hidden = true; };
    source.onmessage = soon;
  };

  // A page that nobody looks at holds no connection.
  const follow = () => (document.hidden ? close() : (open(), soon()));
  document.addEventListener("visibilitychange", follow);
  window.addEventListener("pagehide", close);
  open();
})();
