// Two videos, or two conditions, side by side: mean probabilities, and curves on one time axis.
import { get } from "./api.js";
import { chart, groups, strip } from "./chart.js";
import { bars, el } from "./dom.js";

export async function compare(main, view) {
  const found = (await get("/v1/jobs?limit=1000")).jobs.filter((job) => job.state === "done");
  main.append(el("h1", {}, "Compare two videos"));
  if (found.length < 2) {
    main.append(el("p", { class: "quiet" }, "Two analyzed videos are needed: ", el("a", { href: "#/" }, "analyze one"), "."));
    return;
  }
  const given = view.arguments;
  const ids = [0, 1].map((place) => given[place] ?? found.find((job) => job.id !== given[1 - place] && (place || job.id !== given[0]))?.id);
  if (!given[1] && ids[1] === ids[0]) ids[1] = found.find((job) => job.id !== ids[0]).id;
  const places = [el("div"), el("div")];
  const selects = ids.map((id, place) => el("select", { "aria-label": place ? "Second video" : "First video",
    onchange: () => { location.hash = `#/compare/${selects[0].value}/${selects[1].value}`; } },
  found.map((job) => el("option", { value: job.id, selected: job.id === id }, job.source))));
  main.append(el("div", { class: "row", style: { marginTop: "16px" } }, selects[0], "and", selects[1]),
    el("div", { class: "work" }, places));
  const both = await Promise.all(ids.map((id) => get(`/v1/jobs/${id}/curves`)));
  const duration = Math.max(...both.map((data) => data.duration_s));
  both.forEach((data, place) => side(places[place], data, ids[place], duration));
}

function side(place, data, id, duration) {
  const visible = data.people.filter((person) => !person.hidden);
  const means = Object.fromEntries(data.labels.map((label) => {
    const values = visible.flatMap((person) => person.values[label].filter((value) => value !== null));
    return [label, values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length)];
  }));
  place.append(el("h2", {}, el("a", { href: `#/job/${id}` }, data.source)),
    el("p", { class: "quiet" }, `Mean probabilities of ${visible.length} ${visible.length === 1 ? "person" : "people"}`),
    bars(means, data.colors));
  const options = { duration, colors: data.colors, jump: () => {}, sync: "compare", height: 150 };
  for (const person of visible) {
    const segments = data.segments.filter((segment) => segment.track_id === person.person);
    place.append(el("article", { class: "person", style: { marginTop: "18px" } }, el("h3", {}, person.name),
      chart(person, groups(person, data.labels)[0], options).element, strip(segments, options).element));
  }
}
