// Curves over time: one chart a person, drawn by uPlot, with a strip of segments below.
import uPlot from "./vendor/uPlot.esm.js";
import { clock, el } from "./dom.js";
import { colorOf } from "./colors.js";

const MOST = 5; // expressions that are shown at first: those that reach the most
const OTHERS = ["#3b5bdb", "#e8590c", "#2b8a3e", "#9c36b5", "#1098ad", "#868e96"];

function ink(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** The groups of curves that a person has: expressions, valence and arousal, actions, pose. */
export function groups(person, labels) {
  const names = Object.keys(person.values);
  const made = [{ name: "expressions", curves: names.filter((name) => labels.includes(name)), range: [0, 1] }];
  const affect = names.filter((name) => name === "valence" || name === "arousal");
  if (affect.length) made.push({ name: "valence and arousal", curves: affect, range: [-1, 1] });
  const actions = names.filter((name) => /^AU|openness/.test(name));
  if (actions.length) made.push({ name: "actions", curves: actions, range: [0, 1] });
  const pose = names.filter((name) => name.endsWith("_deg"));
  if (pose.length) made.push({ name: "head pose", curves: pose, range: [-45, 45] });
  return made;
}

/** A chart of some curves of a person; returns its element, and a function for the current time. */
export function chart(person, group, { duration, colors, jump, height = 170, sync = "time" }) {
  const place = el("div", { class: "chart", role: "img", "aria-label": describe(person, group) });
  const key = el("ul", { class: "key", "aria-label": `Curves of ${group.name}` });
  const highest = (name) => Math.max(0, ...person.values[name].map((value) => Math.abs(value ?? 0)));
  const order = [...group.curves].sort((a, b) => highest(b) - highest(a));
  const shown = new Set(group.name === "expressions" ? order.slice(0, MOST).filter((name) => highest(name) > 0.1) : order);
  const color = (name, index) => colors[name] ?? colorOf[name] ?? OTHERS[index % OTHERS.length];
  let now = 0;
  const series = group.curves.map((name, index) => ({
    label: name, stroke: color(name, index), width: 2, show: shown.has(name), spanGaps: false, points: { show: false },
    value: (_, value) => (value === null || value === undefined ? "–" : value.toFixed(2)),
  }));
  const plot = new uPlot({
    width: 400, height, padding: [8, 10, 0, 0], cursor: { sync: { key: sync }, points: { size: 7 }, drag: { x: true, y: false } },
    legend: { show: false },
    scales: { x: { time: false, range: (self, low, high) => (low === high ? [0, duration] : [low, high]) }, y: { range: group.range } },
    axes: [
      { stroke: () => ink("--quiet"), grid: { show: false }, ticks: { stroke: () => ink("--rule") },
        values: (_, ticks) => ticks.map((tick) => clock(tick)), size: 28 },
      { stroke: () => ink("--quiet"), grid: { stroke: () => ink("--rule"), width: 1 }, ticks: { show: false }, size: 38,
        values: (_, ticks) => ticks.map((tick) => (group.range[1] > 1 ? `${tick}°` : tick)) },
    ],
    series: [{}, ...series],
    hooks: {
      draw: [(self) => {
        const x = self.valToPos(now, "x", true);
        if (x < self.bbox.left || x > self.bbox.left + self.bbox.width) return;
        self.ctx.save();
        self.ctx.fillStyle = ink("--ink");
        self.ctx.fillRect(x - 1, self.bbox.top, 2, self.bbox.height);
        self.ctx.restore();
      }],
      ready: [(self) => self.over.addEventListener("click", () => {
        if (self.cursor.left >= 0) jump(self.posToVal(self.cursor.left, "x"));
      })],
    },
  }, [person.time_s, ...group.curves.map((name) => person.values[name])], place);
  plot.setScale("x", { min: 0, max: duration });
  new ResizeObserver(() => plot.setSize({ width: place.clientWidth || 400, height })).observe(place);
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", () => plot.redraw());
  group.curves.forEach((name, index) => {
    const button = el("button", { type: "button", "aria-pressed": String(shown.has(name)), onclick: () => {
      const show = !plot.series[index + 1].show;
      plot.setSeries(index + 1, { show });
      button.setAttribute("aria-pressed", String(show));
    } }, el("i", { style: { background: color(name, index) } }), name);
    key.append(el("li", {}, button));
  });
  return { element: el("div", {}, place, key), at(seconds) { now = seconds; plot.redraw(false); } };
}

function describe(person, group) {
  const means = group.curves.map((name) => {
    const known = person.values[name].filter((value) => value !== null);
    return [name, known.reduce((sum, value) => sum + value, 0) / Math.max(1, known.length)];
  });
  means.sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
  return `${group.name} of ${person.name} over time; means: ${means.slice(0, 3).map(([name, mean]) => `${name} ${mean.toFixed(2)}`).join(", ")}`;
}

/** The faces of a person at the peaks of the expressions, to jump there. */
export async function peaks(list, face, { colors, jump }) {
  const items = await Promise.all(list.map(async (peak) => {
    const picture = el("img", { alt: "", loading: "lazy" });
    picture.src = await face(peak).catch(() => "data:,");
    return el("li", {}, el("button", { type: "button", "aria-label": `${peak.label} at ${clock(peak.time_s, 1)}`, onclick: () => jump(peak.time_s) },
      picture, el("i", { class: "swatch", style: { background: colors[peak.label] ?? "gray" } }), ` ${peak.label} ${clock(peak.time_s, 1)}`));
  }));
  return el("ul", { class: "peaks", "aria-label": "Strongest moments" }, items);
}

/** The segments of a person as a strip of buttons. */
export function strip(segments, { duration, colors, jump }) {
  const now = el("span", { class: "now", "aria-hidden": "true" });
  const place = el("div", { class: "strip", role: "group", "aria-label": "Segments" },
    segments.map((segment) => el("button", {
      type: "button",
      title: `${segment.emotion}, ${clock(segment.start_s, 1)} to ${clock(segment.end_s, 1)}`,
      "aria-label": `${segment.emotion} from ${clock(segment.start_s, 1)} to ${clock(segment.end_s, 1)}`,
      style: {
        left: `${(100 * segment.start_s) / duration}%`,
        width: `${(100 * (segment.end_s - segment.start_s)) / duration}%`,
        background: `color-mix(in srgb, ${colors[segment.emotion] ?? "gray"} 32%, var(--paper))`,
        borderBottom: `4px solid ${colors[segment.emotion] ?? "gray"}`,
      },
      onclick: () => jump(segment.peak_s ?? segment.start_s),
    }, (segment.end_s - segment.start_s) / duration > 0.07 ? segment.emotion : "")), now);
  return { element: place, at(seconds) { now.style.left = `${(100 * seconds) / duration}%`; } };
}
