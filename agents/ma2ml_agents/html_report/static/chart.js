"use strict";
// A chart on a canvas: axes, points and lines, a tooltip for the nearest point, and a click on it.

const charts = [];
const tooltip = document.getElementById("tooltip");
const NEAR = 22;
const paint = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Round numbers between two, about `wanted` of them. */
function ticks(low, high, wanted) {
  const raw = (high - low) / Math.max(1, wanted);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * (raw / power < 1.5 ? 1 : raw / power < 3.2 ? 2 : raw / power < 7.5 ? 5 : 10);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(i * step);
  return { values: found, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
}

/** 1, 2 and 5 times powers of ten between two numbers; powers alone where these are many. */
function logTicks(low, high) {
  const all = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++)
    for (const factor of [1, 2, 5]) all.push(factor * 10 ** power);
  const inside = all.filter((value) => value >= low * 0.999 && value <= high * 1.001);
  const powers = inside.filter((value) => Math.abs(Math.log10(value) - Math.round(Math.log10(value))) < 1e-9);
  return inside.length > 7 && powers.length > 2 ? powers : inside;
}

class Chart {
  /**
   * options: height; xTitle, yTitle; xTick(value, digits), yTick(value, digits): texts of ticks; logX; label: what it
   * shows, for screen readers; tip(point): text of a tooltip; pick(point): called on a click.
   */
  constructor(host, options) {
    this.options = options;
    this.layers = [];
    this.host = host;
    host.classList.add("plot");
    if (options.pick) host.classList.add("pick");
    host.style.height = `${options.height || 280}px`;
    this.canvas = host.appendChild(document.createElement("canvas"));
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", options.label);
    this.canvas.addEventListener("pointermove", (event) => this.hover(event));
    this.canvas.addEventListener("pointerleave", () => this.leave());
    this.canvas.addEventListener("click", (event) => {
      const found = this.nearest(event);
      if (found && this.options.pick) this.options.pick(found);
    });
    new ResizeObserver(() => this.draw()).observe(host);
    charts.push(this);
  }

  /** Layers: {kind: dots | line | steps | feet, color, points: [{x, y, ...}], width, radius, alpha, quiet}. */
  show(layers, changes = {}) {
    Object.assign(this.options, changes);
    this.layers = layers;
    this.hovered = null;
    this.draw();
  }

  ranges() {
    const { logX, yLow } = this.options;
    let [left, right, bottom, top] = [Infinity, -Infinity, Infinity, -Infinity];
    for (const layer of this.layers)
      for (const { x, y } of layer.points) {
        if (x < left) left = x;
        if (x > right) right = x;
        if (layer.kind === "feet" || (yLow !== undefined && y < yLow)) continue;
        if (y < bottom) bottom = y;
        if (y > top) top = y;
      }
    if (!(right >= left)) [left, right] = [0, 1];
    if (!(top >= bottom)) [bottom, top] = [0, 1];
    if (!logX && left > 0 && left < right / 3) left = 0;
    if (left === right) [left, right] = logX ? [left / 2, right * 2] : [left - 0.5, right + 0.5];
    if (top === bottom) [bottom, top] = [bottom - 0.05, top + 0.05];
    const [air, room] = [(top - bottom) * 0.06, logX ? 1.12 : (right - left) * 0.02];
    const start = logX ? left / room : left === 0 ? 0 : left - room;
    return { left: start, right: logX ? right * room : right + room, bottom: bottom - air, top: top + air };
  }

  draw() {
    const [width, height] = [this.host.clientWidth, this.host.clientHeight];
    if (!width || !height) return;
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    const pen = this.canvas.getContext("2d");
    pen.scale(ratio, ratio);
    pen.font = `12px ${getComputedStyle(document.body).fontFamily}`;
    this.frame(pen, width, height);
    pen.save();
    pen.beginPath();
    pen.rect(this.box.left - 6, this.box.top - 6, this.box.right - this.box.left + 12, this.box.bottom - this.box.top + 7);
    pen.clip();
    for (const layer of this.layers) this.layer(pen, layer);
    for (const point of [this.marked(), this.hovered]) if (point) this.ring(pen, point);
    pen.restore();
  }

  /** Axes, grid and titles; sets the box of the plot and the places of points in it. */
  frame(pen, width, height) {
    const { xTitle, yTitle, logX, xTick, yTick } = this.options;
    const range = this.ranges();
    const rows = ticks(range.bottom, range.top, height / 50);
    const labels = rows.values.map((value) => yTick(value, rows.digits));
    const box = { top: 26, bottom: height - 40, right: width - 14, left: 12 };
    box.left += Math.max(18, ...labels.map((text) => pen.measureText(text).width));
    const across = logX
      ? (x) => Math.log(x / range.left) / Math.log(range.right / range.left)
      : (x) => (x - range.left) / (range.right - range.left);
    this.px = (x) => box.left + across(x) * (box.right - box.left);
    this.py = (y) => box.bottom - ((y - range.bottom) / (range.top - range.bottom)) * (box.bottom - box.top);
    this.box = box;
    pen.lineWidth = 1;
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    rows.values.forEach((value, i) => {
      const y = Math.round(this.py(value)) + 0.5;
      rule(pen, paint("--grid"), box.left, y, box.right, y);
      pen.fillStyle = paint("--muted");
      pen.fillText(labels[i], box.left - 8, y);
    });
    rule(pen, paint("--axis"), box.left, Math.round(box.bottom) + 0.5, box.right, Math.round(box.bottom) + 0.5);
    this.columns(pen, range, xTick, logX);
    pen.fillStyle = paint("--muted");
    pen.textBaseline = "alphabetic";
    pen.textAlign = "left";
    pen.fillText(yTitle, 0, 12);
    pen.textAlign = "right";
    pen.fillText(xTitle, box.right, height - 4);
  }

  /** Ticks and labels of the x axis; a label that would touch the one before is left out. */
  columns(pen, range, xTick, logX) {
    const { box } = this;
    const found = logX ? { values: logTicks(range.left, range.right), digits: 0 } : ticks(range.left, range.right, (box.right - box.left) / 90);
    const whole = this.options.wholeX ? found.values.filter((value) => Number.isInteger(Math.round(value * 1e6) / 1e6)) : found.values;
    let end = -Infinity;
    pen.textAlign = "center";
    for (const value of whole) {
      const x = Math.round(this.px(value)) + 0.5;
      const text = xTick(value, found.digits);
      const half = pen.measureText(text).width / 2;
      if (x - half < end + 10 || x + half > box.right + 14) continue;
      end = x + half;
      rule(pen, paint("--axis"), x, box.bottom, x, box.bottom + 4);
      pen.fillStyle = paint("--muted");
      pen.fillText(text, x, box.bottom + 13);
    }
  }

  layer(pen, { kind, color, points, width = 2, radius = 3, alpha = 1 }) {
    pen.globalAlpha = alpha;
    pen.strokeStyle = pen.fillStyle = paint(color);
    pen.lineWidth = width;
    pen.lineJoin = "round";
    if (kind === "dots") {
      for (const { x, y } of points) {
        pen.beginPath();
        pen.arc(this.px(x), this.py(y), radius, 0, 2 * Math.PI);
        pen.fill();
      }
    } else if (kind === "feet") {
      for (const { x } of points) pen.fillRect(this.px(x) - 0.75, this.box.bottom - 9, 1.5, 9);
    } else {
      pen.beginPath();
      points.forEach(({ x, y }, i) => {
        if (i && kind === "steps") pen.lineTo(this.px(x), this.py(points[i - 1].y));
        if (i) pen.lineTo(this.px(x), this.py(y));
        else pen.moveTo(this.px(x), this.py(y));
      });
      pen.stroke();
    }
    pen.globalAlpha = 1;
  }

  /** The point of the selected trial, if it is shown. */
  marked() {
    if (!selected) return null;
    for (const layer of this.layers)
      if (layer.kind === "dots" || layer.kind === "feet") {
        const found = layer.points.find((point) => point.trial === selected);
        if (found) return { ...found, foot: layer.kind === "feet" };
      }
    return null;
  }

  ring(pen, { x, y, foot }) {
    pen.lineWidth = 2;
    pen.strokeStyle = paint("--ring");
    pen.beginPath();
    pen.arc(this.px(x), foot ? this.box.bottom - 5 : this.py(y), 6, 0, 2 * Math.PI);
    pen.stroke();
  }

  /** The point under the pointer; layers shown later come first where two are equally near. */
  nearest(event) {
    const place = this.canvas.getBoundingClientRect();
    const [mx, my] = [event.clientX - place.left, event.clientY - place.top];
    let [found, least] = [null, NEAR ** 2];
    for (const layer of this.layers) {
      if (layer.quiet) continue;
      for (const point of layer.points) {
        const foot = layer.kind === "feet";
        const distance = (this.px(point.x) - mx) ** 2 + ((foot ? this.box.bottom - 5 : this.py(point.y)) - my) ** 2;
        if (distance < least) [found, least] = [{ ...point, foot }, distance];
      }
    }
    return found;
  }

  hover(event) {
    const found = this.box ? this.nearest(event) : null;
    if (!found) return this.leave();
    this.hovered = found;
    showTooltip(this.options.tip(found), event);
    requestAnimationFrame(() => this.draw());
  }

  leave() {
    tooltip.hidden = true;
    if (!this.hovered) return;
    this.hovered = null;
    this.draw();
  }
}

function rule(pen, color, x0, y0, x1, y1) {
  pen.strokeStyle = color;
  pen.beginPath();
  pen.moveTo(x0, y0);
  pen.lineTo(x1, y1);
  pen.stroke();
}

function showTooltip(text, event) {
  tooltip.textContent = text;
  tooltip.hidden = false;
  const { width, height } = tooltip.getBoundingClientRect();
  const left = event.clientX + 14 + width > window.innerWidth ? event.clientX - 14 - width : event.clientX + 14;
  tooltip.style.left = `${Math.max(6, left)}px`;
  tooltip.style.top = `${Math.max(6, event.clientY - height - 12)}px`;
}

window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.forEach((chart) => chart.draw()));
