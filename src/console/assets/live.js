// Brings the page up to date every ten seconds by replacing what is in <main>, and nothing else: the address, the place that
// was scrolled to and what has the focus stay. It waits while somebody is at work: a text or a row is selected, a field is
// filled in or being typed in, the page is not looked at. Without it the pages show the same, as of when they were loaded.
"use strict";
(() => {
  const EVERY = 10000;
  const main = document.querySelector("main[data-live]");
  const state = document.getElementById("live");
  if (!main || !state) return;

  const say = (key) => {
    state.textContent = state.dataset[key];
    state.dataset.state = key;
  };

  const selects = () => {
    const selection = document.getSelection();
    return selection && !selection.isCollapsed;
  };

  const fills = () => {
    const focused = document.activeElement;
    if (focused && main.contains(focused) && focused.matches("input, select, textarea")) return true;
    return [...main.querySelectorAll("input, select, textarea")].some((field) => {
      if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
      if (field.tagName === "SELECT") {
        const chosen = [...field.options].findIndex((option) => option.defaultSelected);
        return field.selectedIndex !== Math.max(chosen, 0);
      }
      return field.value !== field.defaultValue;
    });
  };

  const atWork = () => document.hidden || selects() || fills();

  // Where the focus is: by the id, else by the place among all that can have it.
  const focusables = () => [...main.querySelectorAll("a, button, summary, input, select, [tabindex]")];

  const replace = (fresh) => {
    const focused = document.activeElement;
    const inside = focused && main.contains(focused);
    const place = inside ? focusables().indexOf(focused) : -1;
    const id = inside ? focused.id : "";
    const opened = [...main.querySelectorAll("details[id][open]")].map((one) => one.id);
    const [x, y] = [window.scrollX, window.scrollY];
    const scrolled = [...main.querySelectorAll(".wide")].map((one) => one.scrollLeft);
    main.replaceChildren(...fresh.childNodes);
    opened.forEach((one) => document.getElementById(one)?.setAttribute("open", ""));
    [...main.querySelectorAll(".wide")].forEach((one, index) => { one.scrollLeft = scrolled[index] || 0; });
    const again = (id && document.getElementById(id)) || focusables()[place];
    if (inside && again) again.focus({ preventScroll: true });
    window.scrollTo(x, y);
  };

  const refresh = async () => {
    if (atWork()) return say("waits");
    try {
      const answer = await fetch(location.href, { credentials: "same-origin", redirect: "error" });
      if (!answer.ok) return say("fails");
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.querySelector("main[data-live]");
      if (!fresh) return say("fails");
      if (atWork()) return say("waits");
      replace(fresh);
      say("on");
    } catch {
      say("fails");
    }
  };

  say("on");
  setInterval(refresh, EVERY);
})();
