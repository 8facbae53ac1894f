// The studio: an address after # is a view; each view draws itself and says how to leave it.
import { el, say } from "./dom.js";
import { home } from "./home.js";
import { video } from "./video.js";
import { live } from "./live.js";
import { compare } from "./compare.js";

const main = document.getElementById("main");
let leave = () => {};

async function show() {
  const [name, ...rest] = location.hash.replace(/^#\/?/, "").split("/");
  const views = { "": home, job: video, live, compare };
  const view = views[name] ?? home;
  leave();
  main.replaceChildren();
  for (const link of document.querySelectorAll("nav a")) {
    const here = link.dataset.view === (name === "" || name === "job" ? "home" : name);
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const ended = new AbortController();
  const ends = [];
  leave = () => { ended.abort(); ends.forEach((end) => end()); };
  try {
    await view(main, { arguments: rest, signal: ended.signal, atEnd: (end) => ends.push(end) });
  } catch (error) {
    if (ended.signal.aborted) return;
    main.replaceChildren(el("h1", {}, "This did not work"), el("p", { class: "bad" }, error.message),
      el("p", {}, el("a", { href: "#/" }, "Back to the beginning")));
    say(error.message);
  }
}

window.addEventListener("hashchange", show);
show();
