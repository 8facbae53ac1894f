// The people of a video as cards: name, merge, split, hide; each change can be taken back.
import { address, call, get, post } from "./api.js";
import { clock, el, say } from "./dom.js";

export async function people(place, job, base, { refresh, choose, time, jump }) {
  const list = el("ul", { class: "cards" });
  const undo = el("button", { class: "small", onclick: async () => {
    await call(`${base}/people/last`, { method: "DELETE" });
    say("Taken back.");
    await changed();
  } }, "Undo");
  place.append(el("div", { class: "row spread" }, el("h2", {}, "People"), undo),
    el("p", { class: "quiet" }, "Names and changes go into tables, report and exports; the analysis itself stays as it is."), list);
  let chosen;

  async function edit(change, person, more, words) {
    try {
      await post(`${base}/people`, { change, person, ...more });
      say(words);
      await changed();
    } catch (error) {
      say(error.message);
    }
  }

  async function changed() {
    await Promise.all([refresh(), draw()]);
  }

  async function draw() {
    const found = await get(`${base}/people`);
    undo.disabled = !found.changes;
    const cards = await Promise.all(found.people.map((person) => card(person, found.people)));
    list.replaceChildren(...cards);
    if (!found.people.length) list.append(el("li", { class: "quiet" }, "Nobody was found."));
  }

  async function card(person, everyone) {
    const called = person.name || `Person ${person.person}`;
    const picture = el("img", { alt: `Face of ${called}`, loading: "lazy" });
    picture.addEventListener("error", () => picture.replaceWith(el("div", { class: "blank", role: "img", "aria-label": "no image" })));
    picture.src = await address(`${base}/people/${person.person}/face?changes=${everyone.length}`).catch(() => "data:,");
    const name = el("input", { type: "text", value: person.name, placeholder: called, "aria-label": `Name of ${called}`, maxlength: "80",
      onchange: () => edit("name", person.person, { name: name.value }, name.value ? `Named ${name.value}.` : "Name removed.") });
    const others = everyone.filter((other) => other.person !== person.person);
    const merge = el("select", { "aria-label": `${called} is the same person as`, onchange: () => {
      if (merge.value) edit("merge", person.person, { other: Number(merge.value) }, "Merged.");
    } }, el("option", { value: "" }, "same as …"), others.map((other) => el("option", { value: other.person }, other.name || `Person ${other.person}`)));
    const item = el("li", { class: `card${person.hidden ? " away" : ""}` }, picture, name,
      el("div", { class: "quiet" }, `${clock(person.first_s)} to ${clock(person.last_s)}, ${person.faces.toLocaleString()} faces`),
      others.length ? merge : null,
      el("div", { class: "row" },
        el("button", { class: "small", onclick: () => { choose(person.person); jump(person.first_s); } }, "Show"),
        el("button", { class: "small", title: "From the current time on, this is another person",
          onclick: () => edit("split", person.person, { at_s: time() }, "Split at the current time.") }, "Split"),
        el("button", { class: "small", onclick: () => edit(person.hidden ? "show" : "hide", person.person, {}, person.hidden ? "Shown." : "Hidden.") },
          person.hidden ? "Unhide" : "Hide")));
    item.dataset.person = person.person;
    item.classList.toggle("chosen", person.person === chosen);
    return item;
  }

  await draw();
  return {
    choose(person) {
      chosen = person;
      for (const item of list.children) item.classList.toggle("chosen", Number(item.dataset.person) === person);
    },
  };
}
