"use strict";
// The page: its data, its cards, the selected pipeline, and new trials while a search runs.

const POLL_MILLISECONDS = 2000;
const content = JSON.parse(document.getElementById("data").textContent);
let selected = null;
const runs = content.runs.map((data, i) => new Run(data, i, content.top_k));
const panel = document.getElementById("detail");
const trialId = (trial) => `${runs.indexOf(trial.run)}-${trial.number}`;

header(content);
const front = frontCard();
const cards = [
  summaryCard(),
  progressCard(),
  batchCard(),
  topCard(content.top_k),
  front,
  curvesCard((wide) => front.node.classList.toggle("wide", wide)),
  ...(content.live ? [] : [importanceCard()]),
  leaderboardCard(),
  failuresCard(),
  configurationCard(),
];
document.getElementById("main").append(...cards.map((part) => part.node), footer(content));

function redraw() {
  for (const part of cards) part.draw();
}

/** Shows a trial in the panel, and marks it in figures and tables. */
function select(trial) {
  selected = trial;
  showDetail();
  mark();
  for (const chart of charts) chart.draw();
}

function mark() {
  for (const row of document.querySelectorAll("tr.pick")) row.classList.toggle("selected", Boolean(selected) && row.trial === selected);
}

/** The panel: the selected trial, else the best one where there is room for it. */
function showDetail() {
  panel.classList.toggle("open", Boolean(selected));
  document.body.classList.toggle("sheet", Boolean(selected));
  const best = runs.map((run) => run.best).filter(Boolean).sort((a, b) => b.reward - a.reward)[0];
  const trial = selected || best;
  if (!trial) return panel.replaceChildren(el("p", { class: "note" }, "Waiting for the first pipeline. A click on a point shows its pipeline here."));
  const place = panel.dataset.number === trialId(trial) ? panel.scrollTop : 0;
  panel.dataset.number = trialId(trial);
  panel.replaceChildren(...detailOf(trial, trial === best));
  panel.scrollTop = place;
}

function detailOf(trial, best) {
  const close = el("button", { type: "button", class: "close", "aria-label": "close", onclick: () => select(null) }, "×");
  const steps = el("div", { class: "steps" });
  for (const [by, sign, word] of [[-1, "←", "previous pipeline"], [1, "→", "next pipeline"]])
    steps.append(el("button", { type: "button", "aria-label": word, title: `${word} (arrow key)`, onclick: () => step(trial, by) }, sign));
  const state = trial.failed || trial.state === "pruned" ? el("span", { class: `state ${trial.state}` }, { infeasible: "too large", pruned: "stopped early" }[trial.state] || trial.state) : best ? el("span", { class: "state" }, "best") : null;
  const head = el("div", { class: "head" }, el("div", {}, el("h2", {}, `Pipeline ${trial.number}`, state), ...(many() ? [el("p", {}, dot(trial.run), ` ${trial.run.name}`)] : [])), el("div", { class: "controls" }, steps, close));
  const facts = trial.failed ? [] : [["reward", fixed(trial.reward)], ["validation accuracy", percent(trial.accuracy)]];
  if (trial.flops) facts.push(["multiply-accumulates", count(trial.flops)]);
  if (trial.params) facts.push(["parameters", count(trial.params)]);
  facts.push(["evaluation time", duration(trial.seconds)], ["seed", String(trial.seed)]);
  const list = el("dl", { class: "facts" }, ...facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
  const image = trial.run.pictures.get(trial.number);
  return [
    head,
    ...(trial.error ? [el("div", { class: "error" }, trial.error)] : []),
    list,
    ...agentsOf(trial),
    ...(image ? [el("h3", {}, "Picture"), picture(image, `Picture of pipeline ${trial.number}`)] : content.live ? [drawButton(trial)] : []),
  ];
}

/** A button that asks the server for a picture of a pipeline. */
function drawButton(trial) {
  const button = el("button", { type: "button", class: "more" }, "Draw this pipeline");
  button.addEventListener("click", async () => {
    button.disabled = true;
    button.textContent = "drawing ...";
    try {
      const answer = await fetch(`picture.json?number=${trial.number}`);
      const found = await answer.json();
      if (answer.ok) trial.run.pictures.set(found.number, found.image);
      else button.replaceWith(el("p", { class: "note" }, `It cannot be drawn: ${found.error}`));
    } catch (error) {
      button.replaceWith(el("p", { class: "note" }, "The connection is lost."));
    }
    if (trial.run.pictures.has(trial.number)) showDetail();
  });
  return button;
}

/** The pipeline in words: a heading per agent, which is a line without indentation. */
function agentsOf(trial) {
  const parts = [];
  for (const line of trial.words.map((index) => trial.lines[index])) {
    const depth = line.length - line.trimStart().length;
    if (depth === 0 || !parts.length) parts.push(el("div", { class: "agent" }, el("h3", {}, line.trim())));
    else parts[parts.length - 1].append(el("p", { class: depth > 2 ? "words deep" : "words" }, line.trim()));
  }
  return parts;
}

function step(trial, by) {
  const next = trial.run.trials[trial.place - 1 + by];
  if (next) select(next);
}

document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, select, textarea, summary") || event.altKey || event.ctrlKey || event.metaKey) return;
  if (document.querySelector("dialog[open]")) return;
  if (event.key === "Escape") select(null);
  if (selected && event.key === "ArrowLeft") step(selected, -1);
  if (selected && event.key === "ArrowRight") step(selected, 1);
});

/** Asks for new trials until the page is closed. */
async function watch(run, revision) {
  const chip = document.getElementById("status");
  const say = (text, state = "") => {
    chip.textContent = text;
    chip.className = `chip ${state}`;
  };
  say("live");
  for (;;) {
    await new Promise((resume) => setTimeout(resume, POLL_MILLISECONDS));
    try {
      const answer = await fetch(`data.json?first=${run.firstMissing}&revision=${revision}`, { cache: "no-store" });
      const found = await answer.json();
      if (!answer.ok) {
        say(found.error, "lost");
        continue;
      }
      if (found.revision !== revision) run.clear();
      revision = found.revision;
      receive(run, found);
      const done = run.data.budget && run.trials.length >= run.data.budget;
      say(done ? "finished" : "live", done ? "done" : "");
    } catch (error) {
      say("connection lost", "lost");
    }
  }
}

function receive(run, found) {
  const before = run.trials.length;
  const renewed = run.byNumber.size === 0;
  run.data.budget = found.budget;
  run.data.batch = found.batch;
  run.data.test_accuracy = found.test_accuracy;
  run.data.winner = found.winner;
  if (!found.trials.number.length && !renewed) return cards[0].draw();
  run.add(found.trials);
  if (selected) selected = run.byNumber.get(selected.number) || null;
  if (run.trials.length === before && !renewed) return;
  redraw();
  showDetail();
}

redraw();
showDetail();
if (content.live) watch(runs[0], content.revision);
