// Requests to the service that this page came from, with its token where it needs one.
import { el } from "./dom.js";

const KEY = "mien-token";

function headers(more = {}) {
  const token = sessionStorage.getItem(KEY);
  return token ? { ...more, Authorization: `Bearer ${token}` } : more;
}

export function token() {
  return sessionStorage.getItem(KEY);
}

let asking = null;
/** Ask for the token, once for all requests that wait. */
function askForToken() {
  asking ??= new Promise((done) => {
    const input = el("input", { type: "password", id: "token", autocomplete: "off", required: true });
    const dialog = el("dialog", { "aria-labelledby": "token-title" },
      el("form", { method: "dialog", onsubmit: () => { sessionStorage.setItem(KEY, input.value.trim()); } },
        el("h2", { id: "token-title" }, "This service needs a token"),
        el("label", { for: "token" }, "The one that it was started with. It is kept until this tab is closed."),
        input, el("button", { class: "main" }, "Continue")));
    dialog.addEventListener("close", () => { dialog.remove(); asking = null; done(); });
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    document.body.append(dialog);
    dialog.showModal();
  });
  return asking;
}

async function problem(response) {
  try {
    return (await response.json()).detail;
  } catch {
    return `the server answers ${response.status}.`;
  }
}

/** A response; an error has the sentence of the server. */
export async function call(path, options = {}) {
  for (;;) {
    let response;
    try {
      response = await fetch(path, { ...options, headers: headers(options.headers) });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Error("the server cannot be reached: is mien serve running?");
    }
    if (response.status === 401) {
      await askForToken();
      continue;
    }
    if (!response.ok) throw new Error(await problem(response));
    return response;
  }
}

export async function get(path) {
  return (await call(path)).json();
}

export async function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  return (await call(path, { method: "POST", headers, body: JSON.stringify(body) })).json();
}

/** An address that an element can load by itself; with a token, a copy of what is there. */
export async function address(path) {
  if (!token()) return path;
  return URL.createObjectURL(await (await call(path)).blob());
}

/** Send a video; `progress` gets the share that was sent. */
export async function upload(file, query, progress, signal) {
  await get("/v1/models"); // asks for the token before gigabytes are sent
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    request.open("POST", `/v1/videos?${new URLSearchParams({ name: file.name, ...query })}`);
    for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
    request.setRequestHeader("Content-Type", file.type || "application/octet-stream");
    request.upload.onprogress = (event) => progress(event.loaded / event.total);
    request.onload = () => {
      const body = JSON.parse(request.responseText || "{}");
      if (request.status === 202) done(body);
      else fail(new Error(body.detail ?? `the server answers ${request.status}.`));
    };
    request.onerror = () => fail(new Error("the upload broke off."));
    request.onabort = () => fail(new DOMException("stopped", "AbortError"));
    signal?.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}

/** Follow a job until its end: `heard` gets each state. */
export async function follow(id, heard, signal) {
  for (;;) {
    try {
      const response = await call(`/v1/jobs/${id}/events`, { signal });
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        text += part.value;
        const events = text.split("\n\n");
        text = events.pop();
        for (const event of events) {
          const data = event.split("\n").find((line) => line.startsWith("data: "));
          if (data) heard(JSON.parse(data.slice(6)));
        }
      }
    } catch (error) {
      if (error.name === "AbortError" || signal?.aborted) return;
    }
    if (signal?.aborted) return;
    const job = await get(`/v1/jobs/${id}`); // the stream broke off, or the job has ended
    heard(job);
    if (job.ended_s) return;
    await new Promise((done) => setTimeout(done, 1000));
  }
}
