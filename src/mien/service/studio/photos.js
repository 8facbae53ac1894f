// Photos: each with its boxes and probabilities, and all of them as a table.
import { call } from "./api.js";
import { bars, drawBoxes, el, percent, save, say } from "./dom.js";
import { colorOf } from "./colors.js";

const AT_ONCE = 3;

export async function photos(place, files, options, view) {
  const grid = el("div", { class: "photos" });
  const query = new URLSearchParams(options);
  const text = el("span", { class: "quiet", role: "status" });
  const format = (media, name) => el("button", { onclick: () => download(files, query, media, name) }, name);
  place.replaceChildren(el("section", {},
    el("div", { class: "row spread" },
      el("h2", {}, files.length > 1 ? `${files.length} photos` : "One photo"),
      el("div", { class: "row" }, text, format("text/csv", "CSV"), format("application/vnd.apache.parquet", "Parquet"))),
    grid));
  const waiting = files.map((file) => [file, card(file, grid)]);
  let done = 0;
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (let next = waiting.shift(); next && !view.signal.aborted; next = waiting.shift()) {
      const [file, show] = next;
      try {
        const body = new FormData();
        body.append("image", file);
        const response = await call(`/v1/images?${query}`, { method: "POST", body, signal: view.signal });
        show((await response.json()).results[0]);
      } catch (error) {
        if (error.name !== "AbortError") show({ error: error.message, faces: [] });
      }
      done += 1;
      text.textContent = done < files.length ? `${done} of ${files.length}` : "";
    }
  }));
  if (!view.signal.aborted) say(`${files.length} ${files.length === 1 ? "photo" : "photos"} analyzed.`);
}

function card(file, grid) {
  const image = el("img", { src: URL.createObjectURL(file), alt: file.name });
  const canvas = el("canvas", { "aria-hidden": "true" });
  const text = el("div", { class: "text" }, el("b", {}, file.name), el("div", { class: "quiet" }, "analyzing"));
  grid.append(el("article", { class: "photo" }, el("div", { class: "stage" }, image, canvas), text));
  return (result) => {
    const lines = result.error
      ? [el("div", { class: "bad" }, result.error)]
      : result.faces.map((face) => el("div", {},
        el("div", { class: "quiet" }, `${face.emotion}, ${percent(face.probability)}${face.fit === false ? " (not fit to be judged)" : ""}`),
        result.faces.length === 1 ? bars(face.probabilities, colorOf) : null));
    if (!result.error && !result.faces.length) lines.push(el("div", { class: "quiet" }, "no face found"));
    text.replaceChildren(el("b", {}, file.name), ...lines);
    const draw = () => drawBoxes(canvas, [result.width, result.height], result.faces.map((face) => ({
      box: face.box, color: colorOf[face.emotion] ?? "#888", text: `${face.emotion} ${percent(face.probability)}`,
    })));
    if (result.faces.length) {
      new ResizeObserver(draw).observe(canvas);
      image.alt = `${file.name}: ${result.faces.map((face) => face.emotion).join(", ")}`;
    }
  };
}

async function download(files, query, media, name) {
  try {
    const body = new FormData();
    for (const file of files) body.append("image", file);
    const response = await call(`/v1/images?${query}`, { method: "POST", body, headers: { Accept: media } });
    save(await response.blob(), `faces.${name.toLowerCase()}`);
  } catch (error) {
    say(error.message);
  }
}
