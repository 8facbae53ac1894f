// Elements, messages and times: what every view needs.

/** Make an element: el("p", {class: "quiet", onclick: f}, "text", child, …). */
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "style") Object.assign(made.style, value);
    else if (key in made && typeof value !== "string") made[key] = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

let hide;
/** Say something in a line at the bottom, also to screen readers. */
export function say(text) {
  const line = document.getElementById("say");
  line.textContent = text;
  clearTimeout(hide);
  hide = setTimeout(() => { line.textContent = ""; }, 5000);
}

/** 75.3 as "1:15.3". */
export function clock(seconds, digits = 0) {
  const whole = Math.max(0, seconds);
  const minutes = Math.floor(whole / 60);
  const rest = (whole % 60).toFixed(digits).padStart(digits ? 3 + digits : 2, "0");
  return `${minutes}:${rest}`;
}

export function percent(share) {
  return `${Math.round(100 * share)} %`;
}

/** Offer a blob as a download. */
export function save(blob, name) {
  const link = el("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** Bars of probabilities, with their numbers. */
export function bars(values, colors) {
  return el("div", { class: "bars" }, Object.entries(values).flatMap(([label, value]) => [
    el("span", {}, label),
    el("span", { class: "meter" }, el("i", { style: { width: `${100 * value}%`, background: colors[label] ?? "gray" } })),
    el("span", {}, percent(value)),
  ]));
}

/** Draw boxes with their names onto a canvas whose units are those of the image. */
export function drawBoxes(canvas, size, faces, shown) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  // The image is fitted into the stage, with bars beside or above it.
  const scale = Math.min(width / size[0], height / size[1]);
  context.translate((width - scale * size[0]) / 2, (height - scale * size[1]) / 2);
  context.font = "600 13px system-ui, sans-serif";
  for (const face of faces) {
    const [x1, y1, x2, y2] = face.box.map((value) => value * scale);
    const chosen = shown === undefined || shown === face.person;
    context.globalAlpha = chosen ? 1 : 0.5;
    context.lineWidth = chosen ? 3 : 2;
    context.strokeStyle = face.color;
    context.strokeRect(x1, y1, x2 - x1, y2 - y1);
    const wide = context.measureText(face.text).width + 12;
    const top = y1 > 24 ? y1 - 22 : y2 + 24 < scale * size[1] ? y2 + 2 : y1 + 2;
    context.fillStyle = "rgba(0,0,0,.78)";
    context.fillRect(x1 - 1, top, wide, 20);
    context.fillStyle = "#fff";
    context.fillText(face.text, x1 + 5, top + 14);
  }
  context.globalAlpha = 1;
}
