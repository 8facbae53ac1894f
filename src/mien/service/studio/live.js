// The browser's camera through the live stream, with curves of the last minute.
import { token, get } from "./api.js";
import { bars, drawBoxes, el, percent } from "./dom.js";
import { colorOf } from "./colors.js";
import uPlot from "./vendor/uPlot.esm.js";

const WIDTH = 640, KEPT_S = 60, WAITING = 2;

export async function live(main, view) {
  await get("/v1/models"); // asks for the token
  const moving = el("video", { playsinline: true, muted: true, "aria-label": "Camera" });
  moving.muted = true;
  const canvas = el("canvas", { "aria-hidden": "true" });
  const lamp = el("span", { class: "lamp", hidden: true }, "Camera on: nothing is stored");
  const text = el("span", { class: "quiet", role: "status" });
  const now = el("div");
  const plotted = el("div", { class: "chart", role: "img", "aria-label": "Expressions of the largest face in the last minute" });
  const button = el("button", { class: "main" }, "Start the camera");
  main.append(el("h1", {}, "Live"),
    el("p", { class: "quiet" }, "Images go from this browser to the server, are analyzed, and are gone. No image, no table, no name is kept."),
    el("div", { class: "row", style: { marginTop: "16px" } }, button, lamp, text),
    el("div", { class: "work" }, el("div", { class: "stage" }, moving, canvas), el("div", {}, plotted, now)));

  let socket = null, stream = null, waiting = 0, dropped = 0, answered = 0, began = 0, plot = null;
  const times = [], curves = {};
  const still = el("canvas");

  function stop(why = "") {
    socket?.close();
    stream?.getTracks().forEach((track) => track.stop());
    socket = stream = null;
    moving.srcObject = null;
    lamp.hidden = true;
    button.textContent = "Start the camera";
    button.classList.add("main");
    text.textContent = why;
    canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
  }
  view.atEnd(() => stop());
  button.addEventListener("click", () => (stream ? stop() : start()));

  async function start() {
    let opened;
    button.disabled = true; // a second click must not open a second camera
    try {
      opened = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: WIDTH } }, audio: false });
    } catch (error) {
      text.textContent = error.name === "NotAllowedError"
        ? "The browser does not allow the camera: allow it beside the address." : "No camera was found.";
      return;
    } finally {
      button.disabled = false;
    }
    if (view.signal.aborted) { // allowed after the view was left
      opened.getTracks().forEach((track) => track.stop());
      return;
    }
    stream = opened;
    moving.srcObject = stream;
    await moving.play().catch(() => {}); // rejected where it was stopped meanwhile
    if (stream !== opened) return;
    const protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const place = `${protocol}//${location.host}/v1/stream?affect=true`;
    socket = token() ? new WebSocket(place, ["bearer", token()]) : new WebSocket(place);
    socket.addEventListener("open", () => {
      lamp.hidden = false;
      button.textContent = "Stop";
      button.classList.remove("main");
      began = performance.now();
      waiting = dropped = answered = 0;
      moving.requestVideoFrameCallback ? moving.requestVideoFrameCallback(send) : requestAnimationFrame(send);
    });
    socket.addEventListener("message", (event) => { waiting -= 1; show(JSON.parse(event.data)); });
    socket.addEventListener("close", (event) => { if (stream) stop(event.reason || "The connection was closed."); });
  }

  function send() {
    if (!stream || view.signal.aborted) return;
    if (waiting < WAITING && socket?.readyState === WebSocket.OPEN && moving.videoWidth) {
      still.width = Math.min(WIDTH, moving.videoWidth);
      still.height = Math.round((still.width * moving.videoHeight) / moving.videoWidth);
      still.getContext("2d").drawImage(moving, 0, 0, still.width, still.height);
      waiting += 1;
      still.toBlob((blob) => { if (socket?.readyState === WebSocket.OPEN) socket.send(blob); }, "image/jpeg", 0.85);
    }
    moving.requestVideoFrameCallback ? moving.requestVideoFrameCallback(send) : requestAnimationFrame(send);
  }

  function show(result) {
    if (result.status === "dropped") { dropped += 1; return; }
    answered += 1;
    const seconds = (performance.now() - began) / 1000;
    text.textContent = `${(answered / Math.max(seconds, 0.1)).toFixed(0)} images/s${dropped ? `, ${dropped} dropped` : ""}`;
    drawBoxes(canvas, [result.width, result.height], result.faces.map((face) => ({
      person: face.track_id, box: face.box, color: colorOf[face.emotion] ?? "#888",
      text: `${face.track_id ? `Person ${face.track_id}: ` : ""}${face.emotion} ${percent(face.probability)}`,
    })));
    const size = (face) => (face.box[2] - face.box[0]) * (face.box[3] - face.box[1]);
    const largest = [...result.faces].sort((a, b) => size(b) - size(a))[0];
    now.replaceChildren(largest ? bars(largest.probabilities, colorOf) : el("p", { class: "quiet" }, "No face in view."));
    times.push(seconds);
    for (const [label, value] of Object.entries(largest?.probabilities ?? {})) {
      curves[label] ??= Array(times.length - 1).fill(null);
      curves[label].push(value);
    }
    for (const values of Object.values(curves)) if (values.length < times.length) values.push(null);
    while (times[0] < seconds - KEPT_S) { times.shift(); Object.values(curves).forEach((values) => values.shift()); }
    draw();
  }

  function draw() {
    const labels = Object.keys(curves);
    if (!labels.length) return;
    if (!plot || plot.series.length !== labels.length + 1) {
      plot?.destroy();
      const quiet = () => getComputedStyle(document.documentElement).getPropertyValue("--quiet");
      plot = new uPlot({
        width: plotted.clientWidth, height: 200, legend: { show: false }, cursor: { show: false },
        scales: { x: { time: false }, y: { range: [0, 1] } },
        axes: [{ stroke: quiet, grid: { show: false }, values: (_, ticks) => ticks.map((tick) => `${tick} s`) }, { stroke: quiet, grid: { show: false }, size: 38 }],
        series: [{}, ...labels.map((label) => ({ label, stroke: colorOf[label] ?? "gray", width: 2, points: { show: false } }))],
      }, [times, ...labels.map((label) => curves[label])], plotted);
      new ResizeObserver(() => plot.setSize({ width: plotted.clientWidth, height: 200 })).observe(plotted);
    } else {
      plot.setData([times, ...labels.map((label) => curves[label])]);
    }
  }
}
