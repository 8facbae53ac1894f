// The first view: drop photos or videos, and find the jobs of this server again.
import { call, follow, get, upload } from "./api.js";
import { clock, el, percent, say } from "./dom.js";
import { photos } from "./photos.js";

/** Videos of this tab by job, so that they need not be fetched back from the server. */
export const files = new Map();

const VIDEOS = /\.(mp4|m4v|mov|mkv|webm|avi|mts|m2ts|ts|wmv|flv|mpe?g|3gp|ogv)$/i;

export async function home(main, view) {
  const affect = el("input", { type: "checkbox", checked: true });
  const actions = el("input", { type: "checkbox" });
  const annotate = el("input", { type: "checkbox" });
  const picker = el("input", { type: "file", multiple: true, accept: "image/*,video/*", hidden: true,
    "aria-label": "Photos or videos", onchange: () => take([...picker.files]) });
  const jobs = el("ul", { class: "list" });
  const uploads = el("ul", { class: "list" });
  const gallery = el("div");
  const drop = el("div", { class: "drop" },
    el("h2", {}, "Drop photos or a video here"),
    el("p", { class: "quiet" }, "Every face, every probability, people over time. Nothing leaves this server."),
    el("div", { class: "row" }, el("button", { class: "main", onclick: () => picker.click() }, "Choose files"), picker),
    el("div", { class: "row options" },
      el("label", { class: "check" }, affect, "valence and arousal"),
      el("label", { class: "check" }, actions, "facial actions, head pose"),
      el("label", { class: "check" }, annotate, "annotated video")));
  main.append(el("h1", {}, "How do these faces look?"), drop, uploads, gallery,
    el("section", {}, el("h2", {}, "Videos on this server"), jobs));

  const over = (event) => { event.preventDefault(); drop.classList.add("over"); };
  const dropped = (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    take([...event.dataTransfer.files]);
  };
  document.addEventListener("dragover", over);
  document.addEventListener("drop", dropped);
  view.atEnd(() => {
    document.removeEventListener("dragover", over);
    document.removeEventListener("drop", dropped);
  });

  let taken = 0; // files, in this view
  function take(chosen) {
    taken += chosen.length;
    const videos = chosen.filter((file) => file.type.startsWith("video/") || VIDEOS.test(file.name));
    const images = chosen.filter((file) => !videos.includes(file));
    for (const file of videos) send(file);
    if (images.length) photos(gallery, images, { affect: affect.checked, actions: actions.checked }, view);
  }

  async function send(file) {
    const bar = el("progress", { max: 1, value: 0, "aria-label": `Sending ${file.name}` });
    const text = el("span", { class: "quiet" }, "sending");
    const row = el("li", {}, el("div", { class: "grow" }, el("b", {}, file.name), bar, text));
    uploads.append(row);
    const query = { affect: affect.checked, actions: actions.checked, annotate: annotate.checked };
    try {
      const job = await upload(file, query, (share) => {
        bar.value = share;
        text.textContent = `sending, ${percent(share)}`;
      }, view.signal);
      files.set(job.id, file);
      if (taken === 1) location.hash = `#/job/${job.id}`;
      else { // leaving this view would stop the others
        row.remove();
        jobs.prepend(line(job, view));
      }
    } catch (error) {
      if (error.name === "AbortError") return;
      bar.remove();
      text.className = "bad";
      text.textContent = error.message;
      say(error.message);
    }
  }

  const found = await get("/v1/jobs");
  if (!found.jobs.length) jobs.append(el("li", { class: "quiet" }, "None yet."));
  for (const job of found.jobs) jobs.append(line(job, view));
}

function line(job, view) {
  const state = el("span", { class: "quiet" });
  const show = (now) => { state.textContent = inWords(now); };
  show(job);
  if (!job.ended_s) follow(job.id, show, view.signal);
  const item = el("li", {},
    el("div", { class: "grow" }, el("a", { href: `#/job/${job.id}` }, job.source), el("div", {}, state)),
    el("button", { class: "small", "aria-label": `Delete ${job.source}`, onclick: async () => {
      if (!confirm(`Delete ${job.source} and its results?`)) return;
      await call(`/v1/jobs/${job.id}`, { method: "DELETE" });
      item.remove();
    } }, "Delete"));
  return item;
}

/** The state of a job in words. */
export function inWords(job) {
  const when = new Date(1000 * job.created_s).toLocaleString();
  if (job.state === "failed") return `failed: ${job.error}`;
  if (job.state === "running") {
    const left = job.seconds_left ? `, ${clock(job.seconds_left)} left` : "";
    return `${job.frames.toLocaleString()} frames${job.share ? `, ${percent(job.share)}` : ""}${left}`;
  }
  if (job.state === "done") return `${job.frames.toLocaleString()} frames, ${when}`;
  return job.state === "queued" ? "waiting for its turn" : `${job.state}, ${when}`;
}
