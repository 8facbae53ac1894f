// One video: the player with boxes, the curves of each person beside it, people, and exports.
import { address, call, follow, get } from "./api.js";
import { chart, groups, peaks, strip } from "./chart.js";
import { clock, drawBoxes, el, percent, save, say } from "./dom.js";
import { files, inWords } from "./home.js";
import { people } from "./people.js";

const STRETCH_S = 30; // of boxes that are fetched at once
const SPEEDS = [0.25, 0.5, 1, 1.5, 2, 4];

export async function video(main, view) {
  const id = view.arguments[0];
  const job = await get(`/v1/jobs/${id}`);
  const title = el("h1", {}, job.source);
  main.append(title);
  if (!job.ended_s) await wait(main, job, view);
  if (view.signal.aborted) return;
  const ended = await get(`/v1/jobs/${id}`);
  if (ended.state !== "done") {
    main.append(el("p", { class: "bad" }, inWords(ended)));
    return;
  }
  await show(main, ended, view);
}

/** Show the progress of a job until it ends. */
async function wait(main, job, view) {
  const bar = el("progress", { max: 1, "aria-label": "Analysis" });
  const text = el("p", { class: "quiet" });
  const stop = el("button", { onclick: async () => { await call(`/v1/jobs/${job.id}`, { method: "DELETE" }); location.hash = "#/"; } }, "Stop");
  const place = el("section", {}, bar, el("div", { class: "row spread" }, text, stop));
  main.append(place);
  await follow(job.id, (now) => {
    if (now.share) bar.value = now.share;
    text.textContent = inWords(now);
  }, view.signal);
  place.remove();
}

async function show(main, job, view) {
  const base = `/v1/jobs/${job.id}`;
  const left = el("div"), right = el("div"), below = el("section");
  main.append(exports(job, base), el("div", { class: "work" }, left, right), below);
  let data = await get(`${base}/curves`);
  const stage = await player(left, job, base, data, view);
  let charts = [];
  const chosen = { person: undefined };

  function draw() {
    charts = [];
    stage.colors = data.colors;
    stage.names = Object.fromEntries(data.people.map((person) => [person.person, person.name]));
    const visible = data.people.filter((person) => !person.hidden);
    right.replaceChildren(...visible.map((person) => panel(person)));
    if (!visible.length) right.append(el("p", { class: "quiet" }, "Nobody was found in this video."));
    if (data.note) right.append(el("p", { class: "quiet" }, data.note));
    charts.forEach((one) => one.at(stage.time()));
  }

  function panel(person) {
    const made = groups(person, data.labels);
    const options = { duration: data.duration_s, colors: data.colors, jump: stage.jump };
    const place = el("div");
    const choose = (group) => {
      const one = chart(person, group, options);
      charts = charts.filter((other) => other.owner !== person.person || other.isStrip);
      charts.push({ ...one, owner: person.person });
      place.replaceChildren(one.element);
      one.at(stage.time());
    };
    choose(made[0]);
    const line = strip(data.segments.filter((segment) => segment.track_id === person.person), options);
    charts.push({ ...line, owner: person.person, isStrip: true });
    const select = el("select", { "aria-label": `Curves of ${person.name}`, onchange: () => choose(made[select.selectedIndex]) },
      made.map((group) => el("option", {}, group.name)));
    const faces = el("div");
    const own = data.peaks.filter((peak) => peak.person === person.person);
    const face = (peak) => address(`${base}/people/${peak.person}/face?${new URLSearchParams({ label: peak.label })}`);
    peaks(own, face, options).then((made) => faces.replaceChildren(made));
    return el("article", { class: "person" },
      el("div", { class: "row spread" }, el("h2", {}, person.name), made.length > 1 ? select : null), place, line.element, faces);
  }

  stage.heard = (seconds) => charts.forEach((one) => one.at(seconds));
  const refresh = async () => {
    data = await get(`${base}/curves`);
    stage.forget();
    draw();
  };
  const choose = (person) => {
    chosen.person = person;
    stage.shown = person;
    stage.draw();
    cards.choose(person);
  };
  stage.step = (by) => {
    const list = data.people.filter((person) => !person.hidden).map((person) => person.person);
    if (!list.length) return;
    const at = list.indexOf(chosen.person);
    choose(at < 0 ? list[0] : list[(at + by + list.length) % list.length]);
  };
  draw();
  const cards = await people(below, job, base, { refresh, choose, time: stage.time, jump: stage.jump });
}

/** Tables, subtitles, report and annotated video. */
function exports(job, base) {
  const name = job.source.replace(/\.\w+$/, "");
  const fetched = async (path, ending, accept) => {
    try {
      const response = await call(base + path, accept ? { headers: { Accept: accept } } : {});
      save(await response.blob(), name + ending);
    } catch (error) {
      say(error.message);
    }
  };
  const offers = [
    ["Faces, CSV", "/tables/faces", ".faces.csv", "text/csv"],
    ["Faces, Parquet", "/tables/faces", ".faces.parquet", "application/vnd.apache.parquet"],
    ["Segments, CSV", "/tables/segments", ".segments.csv", "text/csv"],
    ["Summary, CSV", "/tables/summary", ".summary.csv", "text/csv"],
    ["Subtitles, WebVTT", "/export/vtt", ".vtt"],
    ["ELAN", "/export/eaf", ".eaf"],
    ["Report page", "/report", ".html"],
  ];
  if (job.options.annotate) offers.push(["Annotated video", "/annotated", ".annotated.mp4"]);
  const menu = el("details", { class: "menu" }, el("summary", { class: "button main" }, "Export"),
    el("div", {}, offers.map(([text, ...rest]) => el("button", { onclick: () => { menu.open = false; fetched(...rest); } }, text))));
  return el("div", { class: "row spread" },
    el("span", { class: "quiet" }, inWords(job)),
    el("div", { class: "row" }, el("a", { class: "button", href: `#/compare/${job.id}` }, "Compare"), menu));
}

/** The player: what it shows, with boxes, and every way to move in time. */
async function player(place, job, base, data, view) {
  const moving = el("video", { playsinline: true, preload: "auto", muted: false, "aria-label": job.source });
  const canvas = el("canvas", { "aria-hidden": "true" });
  const note = el("div", { class: "note", hidden: true });
  const slider = el("input", { type: "range", min: 0, max: String(data.duration_s), step: "0.01", value: "0", "aria-label": "Time" });
  const text = el("span", { class: "time" });
  const play = el("button", { "aria-label": "Play" }, "▶");
  const speed = el("select", { "aria-label": "Speed" }, SPEEDS.map((rate) => el("option", { value: rate, selected: rate === 1 }, `${rate}×`)));
  place.append(el("div", { class: "stage" }, moving, canvas, note),
    el("div", { class: "controls" }, play, slider, text, speed),
    el("p", { class: "quiet" }, "Keys: ", el("kbd", {}, "space"), " play, ", el("kbd", {}, "←"), " ", el("kbd", {}, "→"), " frame, ",
      el("kbd", {}, "page"), " second, ", el("kbd", {}, "↑"), " ", el("kbd", {}, "↓"), " person, ", el("kbd", {}, "s"), " save the image"));

  const stretches = new Map();
  let position = 0;
  const stage = {
    heard: () => {}, step: () => {}, colors: data.colors, names: {}, shown: undefined,
    time: () => position,
    forget: () => { stretches.clear(); update(); },
    jump(seconds) {
      position = Math.min(Math.max(0, seconds), data.duration_s);
      if (Number.isFinite(moving.duration)) moving.currentTime = Math.min(position, Math.max(0, moving.duration - 0.001));
      update();
    },
    draw,
  };

  const file = files.get(job.id);
  moving.src = file ? URL.createObjectURL(file) : await address(`${base}/video`);
  moving.addEventListener("error", () => {
    note.hidden = false;
    note.textContent = "This browser cannot play the video, or it is not on the server any more; curves and boxes' times still work.";
  });

  async function stretch(number) {
    if (!stretches.has(number)) {
      const query = new URLSearchParams({ start: STRETCH_S * number, end: STRETCH_S * (number + 1) });
      stretches.set(number, get(`${base}/boxes?${query}`).catch(() => null));
      stretches.get(number).then(draw);
    }
    return stretches.get(number);
  }

  async function draw() {
    const boxes = await stretch(Math.floor(position / STRETCH_S));
    if (!boxes?.size || view.signal.aborted) return;
    // The last frame that began before the current time is the one that is shown.
    let low = 0, high = boxes.frames.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (boxes.frames[middle] <= position + 0.001) low = middle + 1; else high = middle;
    }
    const at = boxes.frames[low - 1];
    const faces = [];
    const { time_s: times } = boxes.faces;
    for (let i = 0; i < times.length; i += 1) {
      if (times[i] !== at) continue;
      const { person, emotion, probability, fit, x1, y1, x2, y2 } = boxes.faces;
      const name = stage.names[person[i]] ?? "";
      faces.push({
        person: person[i], box: [x1[i], y1[i], x2[i], y2[i]],
        color: fit[i] ? stage.colors[emotion[i]] ?? "#888" : "#888",
        text: `${name ? `${name}: ` : ""}${fit[i] ? `${emotion[i]} ${percent(probability[i])}` : "not fit"}`,
      });
    }
    drawBoxes(canvas, boxes.size, faces, stage.shown);
  }

  function update() {
    slider.value = String(position);
    slider.setAttribute("aria-valuetext", clock(position, 1));
    text.textContent = `${clock(position, 1)} / ${clock(data.duration_s)}`;
    stage.heard(position);
    draw();
  }

  function follow() {
    if (view.signal.aborted) return;
    if (Math.abs(moving.currentTime - position) > 0.005 && (!moving.paused || moving.seeking === false)) {
      if (!moving.paused) { position = moving.currentTime; update(); }
    }
    if (moving.requestVideoFrameCallback) moving.requestVideoFrameCallback(follow);
    else requestAnimationFrame(follow);
  }
  if (moving.requestVideoFrameCallback) moving.requestVideoFrameCallback(follow); else requestAnimationFrame(follow);

  const toggle = () => (moving.paused ? moving.play().catch(() => {}) : moving.pause());
  play.addEventListener("click", toggle);
  moving.addEventListener("click", toggle);
  for (const [event, sign, name] of [["play", "❚❚", "Pause"], ["pause", "▶", "Play"]]) {
    moving.addEventListener(event, () => { play.textContent = sign; play.setAttribute("aria-label", name); });
  }
  slider.addEventListener("input", () => stage.jump(Number(slider.value)));
  speed.addEventListener("change", () => { moving.playbackRate = Number(speed.value); });
  new ResizeObserver(draw).observe(canvas);

  const frame = 1 / data.fps;
  const keys = {
    " ": toggle,
    ArrowLeft: () => stage.jump(position - frame), ArrowRight: () => stage.jump(position + frame),
    PageUp: () => stage.jump(position - 1), PageDown: () => stage.jump(position + 1),
    Home: () => stage.jump(0), End: () => stage.jump(data.duration_s),
    ArrowUp: () => stage.step(-1), ArrowDown: () => stage.step(1),
    s: () => snapshot(moving, canvas, job.source, position),
  };
  const pressed = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    if (event.key === " " && event.target.tagName === "BUTTON") return;
    const action = keys[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  };
  document.addEventListener("keydown", pressed);
  view.atEnd(() => { document.removeEventListener("keydown", pressed); moving.pause(); moving.removeAttribute("src"); });
  update();
  return stage;
}

/** The current image with its boxes as a PNG. */
function snapshot(moving, canvas, source, position) {
  if (!moving.videoWidth) return;
  const made = el("canvas", { width: moving.videoWidth, height: moving.videoHeight });
  const context = made.getContext("2d");
  context.drawImage(moving, 0, 0);
  const scale = Math.min(canvas.width / made.width, canvas.height / made.height);
  const [width, height] = [made.width * scale, made.height * scale];
  context.drawImage(canvas, (canvas.width - width) / 2, (canvas.height - height) / 2, width, height, 0, 0, made.width, made.height);
  made.toBlob((blob) => save(blob, `${source}.${position.toFixed(2)}s.png`));
}
