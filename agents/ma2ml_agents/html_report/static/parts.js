"use strict";
// The cards with figures.

/** An element with properties and children; text is always text, never markup. */
function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

function dot(run) {
  const node = el("span", { class: "dot" });
  node.style.background = `var(${run.color})`;
  return node;
}

/** A card with a title, a sentence and controls; returns it and its body. */
function card(title, text, { wide = false, controls = [] } = {}) {
  const sentence = el("p", {}, text);
  const body = el("div");
  const head = el("div", { class: "head" }, el("div", {}, el("h2", {}, title), sentence), el("div", { class: "controls" }, ...controls));
  return { node: el("section", { class: wide ? "card wide" : "card" }, head, body), body, sentence };
}

/** Buttons of which one is pressed; `change` receives its value. */
function segments(label, choices, change) {
  const box = el("div", { class: "segments", role: "group", "aria-label": label });
  choices.forEach(([value, text], i) => {
    const button = el("button", { type: "button", "aria-pressed": String(i === 0) }, text);
    button.addEventListener("click", () => {
      for (const other of box.children) other.setAttribute("aria-pressed", String(other === button));
      change(value);
    });
    box.append(button);
  });
  return box;
}

/** What the colors and shapes of a figure mean: (shape, color, text) each. */
function key(entries) {
  const shown = entries.map(([shape, color, text]) => {
    const mark = el("i", { class: shape });
    mark.style[shape === "line" ? "borderTopColor" : "background"] = `var(${color})`;
    return el("span", {}, mark, text);
  });
  return el("div", { class: "key" }, ...shown);
}

const many = () => runs.length > 1;
const shownRuns = () => runs.filter((run) => run.visible);
const whole = (value) => (Math.abs(value) >= 10000 ? count(value) : String(Math.round(value)));
const digitsOf = (value, digits) => value.toFixed(digits);
const percentTick = (value, digits) => `${(100 * value).toFixed(Math.max(0, digits - 2))} %`;

function describe(trial) {
  const where = many() ? `${trial.run.name}, pipeline ${trial.number}` : `pipeline ${trial.number}`;
  if (trial.failed) return `${where}\n${trial.state === "infeasible" ? "too large" : "failed"}: ${clip(trial.error || "", 120)}`;
  const cost = trial.flops ? `\n${count(trial.flops)} multiply-accumulates` : "";
  return `${where}${trial.state === "pruned" ? " (stopped early)" : ""}\nreward ${fixed(trial.reward)}, accuracy ${percent(trial.accuracy)}${cost}`;
}

const clip = (text, most) => (text.length > most ? `${text.slice(0, most - 3)}...` : text);

/** Points of many trials are smaller and fainter. */
function pointLook(trials) {
  if (trials > 3000) return { radius: 1.7, alpha: 0.35 };
  return trials > 600 ? { radius: 2.2, alpha: 0.5 } : { radius: 3, alpha: many() && trials > 60 ? 0.4 : 0.6 };
}

function progressCard() {
  const state = { x: "place", zoom: false };
  const update = (name, value) => {
    state[name] = value;
    draw();
  };
  const controls = [
    segments("horizontal axis", [["place", "by pipelines"], ["clock", "by time"]], (value) => update("x", value)),
    segments("vertical axis", [[false, "all rewards"], [true, "upper half"]], (value) => update("zoom", value)),
  ];
  const made = card("Progress", "Every pipeline, and the best reward so far. Click a point to see its pipeline.", { wide: true, controls });
  const chart = new Chart(made.body.appendChild(el("div")), {
    height: 340,
    label: "Reward of every pipeline, and the best so far",
    yTitle: "reward",
    yTick: digitsOf,
    tip: (point) => (point.trial ? describe(point.trial) : ""),
    pick: (point) => select(point.trial),
  });
  const color = many() ? "--muted" : "--series-0";
  made.body.append(key([["round", color, "pipeline"], ["line", color, "best so far"], ["foot", "--bad", "failed or too large"]]));

  function draw() {
    const layers = { feet: [], dots: [], steps: [] };
    const [unit, name] = timeUnit(Math.max(0, ...shownRuns().map((run) => run.seconds)));
    const scale = state.x === "clock" ? 1 / unit : 1;
    const rewards = [];
    for (const run of shownRuns()) {
      const points = (trials) => trials.map((trial) => ({ x: trial[state.x] * scale, y: trial.reward, trial }));
      const [good, bad] = [run.trials.filter((trial) => !trial.failed), run.trials.filter((trial) => trial.failed)];
      for (const trial of good) rewards.push(trial.reward);
      layers.feet.push({ kind: "feet", color: "--bad", points: points(bad), alpha: 0.7 });
      layers.dots.push({ kind: "dots", color: run.color, points: points(good), ...pointLook(run.trials.length) });
      const best = run.bestCurve.map((point) => ({ x: point[state.x] * scale, y: point.y, trial: point.trial }));
      layers.steps.push({ kind: "steps", color: run.color, points: best, width: 2.25, quiet: true });
    }
    rewards.sort((a, b) => a - b);
    chart.show([...layers.feet, ...layers.dots, ...layers.steps], {
      yLow: state.zoom ? rewards[Math.floor(rewards.length / 2)] : undefined,
      xTitle: state.x === "clock" ? `evaluation time, ${name}, all workers together` : "pipelines",
      xTick: state.x === "clock" ? digitsOf : whole,
      wholeX: state.x === "place",
    });
  }
  return { node: made.node, draw };
}

function batchCard() {
  const sizes = [...new Set(runs.map((run) => run.data.batch))];
  const made = card("Batch reward", `Mean reward of each batch${sizes.length === 1 ? ` of ${sizes[0]} pipelines` : ""}.`);
  const chart = new Chart(made.body.appendChild(el("div")), {
    label: "Mean reward of each batch",
    yTitle: "mean reward",
    xTitle: "batches",
    yTick: digitsOf,
    xTick: whole,
    wholeX: true,
    tip: (point) => `${many() ? `${point.run.name}, ` : ""}batch ${point.x} of ${point.size}\nmean reward ${fixed(point.y)}`,
  });
  const draw = () =>
    chart.show(shownRuns().map((run) => ({ kind: "dots", color: run.color, points: run.batches.map((batch) => ({ ...batch, run })), ...pointLook(run.batches.length) })));
  return { node: made.node, draw };
}

function topCard(k) {
  const made = card(`Top-${k} reward`, `Mean reward of the best ${k} distinct pipelines so far.`);
  const host = made.body.appendChild(el("div"));
  const empty = made.body.appendChild(el("p", { class: "note", hidden: "" }, `Fewer than ${k} distinct pipelines have been evaluated.`));
  const chart = new Chart(host, {
    label: `Mean reward of the best ${k} pipelines`,
    yTitle: "mean reward",
    xTitle: "pipelines",
    yTick: digitsOf,
    xTick: whole,
    wholeX: true,
    tip: (point) => `${many() ? `${point.run.name}, ` : ""}after ${plural(point.x, "pipeline")}\nmean of the best ${k}: ${fixed(point.y)}`,
  });
  function draw() {
    const layers = shownRuns().map((run) => ({ kind: "line", color: run.color, points: run.topCurve.map(({ place, y }) => ({ x: place, y, run })), width: 2.25 }));
    host.hidden = !layers.some((layer) => layer.points.length);
    empty.hidden = !host.hidden;
    chart.show(layers);
  }
  return { node: made.node, draw };
}

function frontCard() {
  const made = card("Accuracy and cost", "Every pipeline, and the front of those that no other one beats in both.");
  const host = made.body.appendChild(el("div"));
  const empty = made.body.appendChild(el("p", { class: "note", hidden: "" }, "This environment has no cost of a pipeline."));
  const chart = new Chart(host, {
    label: "Accuracy against cost",
    yTitle: "accuracy",
    yTick: percentTick,
    xTick: count,
    tip: (point) => describe(point.trial),
    pick: (point) => select(point.trial),
  });
  function draw() {
    const good = shownRuns().map((run) => run.trials.filter((trial) => !trial.failed));
    const name = good.flat().some((trial) => trial.flops) ? "flops" : "params";
    const cost = (trial) => trial[name];
    const [layers, fronts, all] = [[], [], []];
    shownRuns().forEach((run, i) => {
      const priced = good[i].filter((trial) => cost(trial) > 0);
      for (const trial of priced) all.push(cost(trial));
      const points = (trials) => trials.map((trial) => ({ x: cost(trial), y: trial.accuracy, trial }));
      layers.push({ kind: "dots", color: run.color, points: points(priced), ...pointLook(priced.length) });
      fronts.push({ kind: "steps", color: run.color, points: points(paretoFront(priced, cost)), width: 2, quiet: true });
    });
    all.sort((a, b) => a - b);
    host.hidden = !all.length;
    empty.hidden = !host.hidden || !good.flat().length;
    const title = name === "flops" ? "multiply-accumulates of one image" : "parameters";
    chart.show([...layers, ...fronts], { xTitle: title, logX: all.length > 0 && all[all.length - 1] > 12 * all[0] });
  }
  return { node: made.node, draw };
}

const MOST_CURVES = 300;

/** Learning curves; where there are none, `frontWide(true)` lets the card beside take their place. */
function curvesCard(frontWide) {
  const made = card("Learning curves", "");
  const host = made.body.appendChild(el("div"));
  const chart = new Chart(host, {
    label: "Accuracy after each measured epoch",
    yTitle: "validation accuracy",
    xTitle: "measured epochs",
    yTick: percentTick,
    xTick: whole,
    wholeX: true,
    tip: (point) => `${many() ? `${point.trial.run.name}, ` : ""}pipeline ${point.trial.number}\nepoch ${point.x}: accuracy ${percent(point.y)}`,
    pick: (point) => select(point.trial),
  });
  function draw() {
    const curves = shownRuns().flatMap((run) => run.trials.filter((trial) => trial.first && trial.curve.length));
    const step = Math.max(1, Math.ceil(curves.length / MOST_CURVES));
    const drawn = curves.filter((trial, i) => i % step === 0 || trial === trial.run.best);
    const points = (trial) => trial.curve.map((y, i) => ({ x: i + 1, y, trial }));
    const alpha = drawn.length > 60 ? 0.25 : 0.5;
    const layers = drawn.map((trial) => ({ kind: "line", color: trial.run.color, points: points(trial), width: 1.25, alpha }));
    layers.push(...drawn.filter((trial) => trial === trial.run.best).map((trial) => ({ kind: "line", color: trial.run.color, points: points(trial), width: 3 })));
    layers.push({ kind: "dots", color: "--muted", points: drawn.flatMap(points), radius: 0, alpha: 0 });
    made.node.hidden = !curves.length;
    frontWide(made.node.hidden);
    const part = step > 1 ? ` ${drawn.length} of ${curves.length} pipelines are drawn.` : "";
    made.sentence.textContent = `Accuracy after each measured epoch; the best pipeline is bold.${part}`;
    chart.show(layers);
  }
  return { node: made.node, draw };
}

const AGENT_COLORS = [2, 3, 4, 5, 6, 0, 1].map((number) => `--series-${number}`); // the first runs have other colors

function importanceCard() {
  const made = card("Importance", "Shares of the variance of the reward over random pipelines, from a model fitted to the trials.", { wide: true });
  for (const run of runs) made.body.append(importanceOf(run));
  return { node: made.node, draw: () => {} };
}

function importanceOf(run) {
  const { importance, importance_note: note } = run.data;
  const block = el("div", { class: "block" });
  if (many()) block.append(el("div", { class: "run-name" }, dot(run), run.name));
  if (!importance) {
    block.append(el("p", { class: "note" }, `There is none here. ${note || ""}`));
    return block;
  }
  const names = Object.keys(importance.agents);
  const colorOf = (agent) => AGENT_COLORS[names.indexOf(agent) % AGENT_COLORS.length];
  const most = Math.max(...importance.decisions.map((decision) => decision.total), 0.01);
  const agents = el("div", { class: "bars" });
  for (const [name, effect] of Object.entries(importance.agents)) {
    const interval = effect.low === effect.high ? "" : `, 95 % interval ${percent(effect.low, 0)} to ${percent(effect.high, 0)}`;
    const tip = `${name}: ${percent(effect.share, 1)}${interval}; ${percent(effect.alone, 1)} alone, ${percent(effect.together, 1)} together with others`;
    bar(agents, [name], [[effect.alone, false], [effect.together, true]], colorOf(name), effect.share, tip);
  }
  const decisions = el("div", { class: "bars" });
  for (const { agent, name, first, total } of importance.decisions) {
    const tip = `${agent}, ${name}: ${percent(total, 1)} in all; ${percent(first, 1)} alone`;
    bar(decisions, [el("b", {}, `${agent} `), name.replaceAll("_", " ")], [[first / most, false], [(total - first) / most, true]], colorOf(agent), total, tip);
  }
  const rest = importance.left_out ? `, the first ${importance.decisions.length} of ${importance.decisions.length + importance.left_out}` : "";
  block.append(
    ...(importance.warning ? [el("p", { class: "warning" }, importance.warning)] : []),
    el("div", { class: "pair" }, el("div", {}, el("h3", {}, "Agents"), agents), el("div", {}, el("h3", {}, `Decisions${rest}`), decisions)),
    el("p", { class: "note key" }, `Solid: alone; pale: together with others. Computed ${importance.source}`),
  );
  return block;
}

function bar(host, name, parts, color, share, tip) {
  const track = el("div", { class: "track" });
  let left = 0;
  for (const [width, together] of parts) {
    const part = el("span", { class: together ? "together" : "alone" });
    part.style.left = `${100 * left}%`;
    part.style.width = `${100 * Math.max(0, width)}%`;
    part.style.background = `var(${color})`;
    left += Math.max(0, width);
    track.append(part);
  }
  track.addEventListener("pointermove", (event) => showTooltip(tip, event));
  track.addEventListener("pointerleave", () => (tooltip.hidden = true));
  host.append(el("div", { class: "name" }, ...name), track, el("div", { class: "number" }, percent(share, 1)));
}
