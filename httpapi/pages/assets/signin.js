// Takes an access code out of a link, where it stands behind "#": that part of
// an address is sent to no server and stands in no log. The code is taken off
// the address at once. A link that was typed, or opened from a program, signs
// in by itself; one on another site only fills in the form, so that no site
// can choose in whose name somebody works here.
"use strict";
(() => {
  const form = document.querySelector("form[action='/signin']");
  const take = () => {
    const found = /^#token=([A-Za-z0-9_-]+)$/.exec(location.hash);
    if (!form || !found) return;
    history.replaceState(null, "", location.pathname + location.search);
    form.elements.token.value = found[1];
    if (form.dataset.auto) form.submit();
    else form.querySelector("button").focus();
  };
  take();
  window.addEventListener("hashchange", take);
})();
