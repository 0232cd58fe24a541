"use strict";
// Header, leaderboard, failures, configuration, and the panel of the selected pipeline.

function header(data) {
  const status = el("span", { class: "chip", id: "status" });
  status.hidden = !data.live;
  const brand = el("div", { class: "brand" }, el("span", {}, data.live ? "ma2ml watch" : "ma2ml report"), status);
  const first = runs[0].data;
  const environments = [...new Set(runs.map((run) => run.data.env).filter(Boolean))];
  const who = many() ? [] : [first.learner, first.seed === null ? null : `seed ${first.seed}`];
  const subtitle = [environments.join(", "), ...who].filter(Boolean).join("  ·  ");
  const node = document.getElementById("header");
  node.append(brand, el("h1", {}, many() ? `${runs.length} runs` : first.name), el("p", { class: "subtitle" }, subtitle));
  if (!many()) return;
  const legend = el("div", { class: "legend", role: "group", "aria-label": "runs shown" });
  for (const run of runs) {
    const button = el("button", { type: "button", "aria-pressed": "true" }, dot(run), run.name);
    button.addEventListener("click", () => {
      run.visible = !run.visible;
      button.setAttribute("aria-pressed", String(run.visible));
      redraw();
    });
    legend.append(button);
  }
  node.append(legend);
  if (environments.length > 1) node.append(el("p", { class: "warning" }, "These runs are in different environments, whose rewards cannot be compared."));
}

function footer(data) {
  return el("footer", { class: "wide note" }, `${data.version}, ${data.made}. FLOPs are multiply-accumulates of one image; a repeated pipeline counts as a pipeline and takes no time.`);
}

function summaryCard() {
  const node = el("section", { class: many() ? "card wide" : "wide" });
  return { node, draw: () => node.replaceChildren(many() ? comparison() : tiles(runs[0])) };
}

function tiles(run) {
  const { best } = run;
  const budget = run.data.budget;
  const failed = [run.failures ? `${run.failures} failed` : "", run.tooLarge ? `${run.tooLarge} too large` : ""].filter(Boolean).join(", ");
  const facts = [
    ["Pipelines", run.trials.length.toLocaleString("en"), budget && budget !== run.trials.length ? `of ${budget.toLocaleString("en")}` : `${run.distinct.toLocaleString("en")} distinct`],
    ["Best reward", best ? fixed(best.reward) : "-", best ? `accuracy ${percent(best.accuracy)}` : "none yet"],
    ...(best && best.flops ? [["Its FLOPs", count(best.flops), best.params ? `${count(best.params)} parameters` : "multiply-accumulates"]] : []),
    [`Best ${run.topK}`, run.topMean === null ? "-" : fixed(run.topMean), run.topMean === null ? `from the ${run.topK}th on` : "mean reward"],
    ...winner(run.data.winner),
    ...(run.data.test_accuracy === null ? [] : [["Final model", percent(run.data.test_accuracy), "test accuracy"]]),
    ["Evaluation", run.trials.length ? duration(run.seconds) : "-", failed || "no failures"],
  ];
  return el("dl", { class: "card tiles" }, ...facts.map(([name, value, more]) => el("div", { class: "tile" }, el("dt", {}, name), el("dd", {}, value, el("small", {}, more)))));
}

function winner(chosen) {
  if (!chosen || chosen.expected_accuracy === null || chosen.expected_accuracy === undefined) return [];
  const interval = chosen.interval ? `, ${percent(chosen.interval[0])} to ${percent(chosen.interval[1])}` : "";
  return [["Winner", percent(chosen.expected_accuracy), `expected${interval}; ${percent(chosen.accuracy)} observed`]];
}

function comparison() {
  const named = runs.some((run) => run.data.learner && run.data.learner !== run.name);
  const rows = runs.map((run) => {
    const numbers = [run.trials.length.toLocaleString("en"), run.best ? fixed(run.best.reward) : "-", run.best ? percent(run.best.accuracy) : "-"];
    numbers.push(run.topMean === null ? "-" : fixed(run.topMean), String(run.failures + run.tooLarge), duration(run.seconds));
    const texts = [el("td", { class: "run" }, dot(run), run.name), ...(named ? [el("td", {}, run.data.learner || "")] : [])];
    const row = el("tr", { class: "pick" }, ...texts, ...numbers.map((number) => el("td", { class: "number" }, number)));
    row.addEventListener("click", () => run.best && select(run.best));
    return row;
  });
  const names = ["Pipelines", "Best reward", "Its accuracy", `Best ${runs[0].topK}, mean`, "Failed", "Evaluation"];
  const texts = ["Run", ...(named ? ["Learner"] : [])].map((name) => el("th", {}, name));
  const head = el("tr", {}, ...texts, ...names.map((name) => el("th", { class: "number" }, name)));
  return el("div", { class: "scroll" }, el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows)));
}

const FEW = 12;
const MOST_ROWS = 100;

function leaderboardCard() {
  const made = card("Best pipelines", "Distinct pipelines by reward. Click a heading to sort, a row to see the pipeline.", { wide: true });
  const table = made.body.appendChild(el("div", { class: "scroll" }));
  const more = made.body.appendChild(el("button", { type: "button", class: "more" }));
  const state = { by: "reward", down: true, all: false };
  const columns = [
    ["place", "Rank", (trial) => String(trial.rank), "rank"],
    ["name", "Pipeline", (trial) => String(trial.number), "number"],
    ["reward", "Reward", (trial) => fixed(trial.reward), "reward"],
    ["accuracy", "Accuracy", (trial) => percent(trial.accuracy), "accuracy"],
    ["flops", "Multiply-accumulates", (trial) => count(trial.flops), "flops"],
    ["params", "Parameters", (trial) => count(trial.params), "params"],
    ["seconds", "Time", (trial) => duration(trial.seconds), "seconds"],
  ];
  more.addEventListener("click", () => {
    state.all = !state.all;
    draw();
  });

  function draw() {
    const ranked = shownRuns().flatMap((run) => run.ranking()).sort((a, b) => b.reward - a.reward || a.number - b.number);
    ranked.forEach((trial, i) => (trial.rank = i + 1));
    const listed = ranked.slice(0, MOST_ROWS);
    const used = columns.filter(([id]) => !["flops", "params"].includes(id) || listed.some((trial) => trial[id]));
    const property = columns.find(([id]) => id === state.by)[3];
    listed.sort((a, b) => (state.down ? -1 : 1) * (a[property] - b[property]) || a.rank - b.rank);
    const shown = state.all ? listed : listed.slice(0, FEW);
    const head = used.map(([id, title]) => {
      const button = el("button", { type: "button" }, title);
      button.addEventListener("click", () => {
        Object.assign(state, state.by === id ? { down: !state.down } : { by: id, down: !["place", "name", "flops", "params", "seconds"].includes(id) });
        draw();
      });
      return el("th", { class: "number", "aria-sort": state.by === id ? (state.down ? "descending" : "ascending") : "none" }, button);
    });
    const rows = shown.map((trial) => {
      const cells = used.map(([, , text]) => el("td", { class: "number" }, text(trial)));
      return pickable(el("tr", { class: "pick", tabindex: "0" }, ...(many() ? [el("td", { class: "run" }, dot(trial.run), trial.run.name)] : []), ...cells), trial);
    });
    const top = el("thead", {}, el("tr", {}, ...(many() ? [el("th", {}, "Run")] : []), ...head));
    table.replaceChildren(el("table", { id: "leaderboard" }, top, el("tbody", {}, ...rows)));
    more.hidden = listed.length <= FEW;
    more.textContent = state.all ? "Show fewer" : `Show all ${listed.length}`;
    if (!ranked.length) table.replaceChildren(el("p", { class: "note" }, "No pipeline has succeeded yet."));
    mark();
  }
  made.body.append(picturesOf());
  return { node: made.node, draw };
}

function picturesOf() {
  const box = el("div", { class: "pictures" });
  for (const run of runs) {
    for (const [number, image] of run.pictures) {
      const title = `${many() ? `${run.name}, ` : ""}pipeline ${number}`;
      box.append(el("figure", {}, el("figcaption", {}, title), picture(image, `Picture of ${title}`)));
    }
    const note = run.data.pictures_note;
    if (note) box.append(el("p", { class: "note" }, `${many() ? `${run.name}: ` : ""}There are no pictures of pipelines here. ${note}`));
  }
  return box;
}

/** A picture that a click shows in its own size. */
function picture(source, text) {
  const open = () => {
    const dialog = el("dialog", { class: "large", "aria-label": text }, el("img", { src: source, alt: text }));
    dialog.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
  };
  return el("button", { type: "button", class: "picture", title: "enlarge", onclick: open }, el("img", { src: source, alt: text }));
}

/** Makes a row select its trial, by pointer and by keyboard. */
function pickable(row, trial) {
  row.trial = trial;
  row.addEventListener("click", () => select(trial));
  row.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      select(trial);
    }
  });
  return row;
}

function failuresCard() {
  const made = card("Failures", "", { wide: true });
  function draw() {
    const groups = new Map();
    let evaluated = 0;
    for (const run of shownRuns()) {
      evaluated += run.trials.length;
      for (const trial of run.trials) {
        if (!trial.failed) continue;
        const reason = (trial.error || "").replace(/\d[\d,.]*/g, "N");
        if (!groups.has(reason)) groups.set(reason, []);
        groups.get(reason).push(trial);
      }
    }
    const sorted = [...groups.values()].sort((a, b) => b.length - a.length);
    const failed = sorted.reduce((sum, group) => sum + group.length, 0);
    made.sentence.textContent = failed ? `${failed.toLocaleString("en")} of ${plural(evaluated, "pipeline")}, by reason; numbers in a reason are those of the first.` : "No pipeline has failed.";
    const rows = sorted.slice(0, 50).map((group) => {
      const examples = group.slice(0, 6).map((trial) => el("button", { type: "button", class: "link", onclick: () => select(trial) }, `${many() ? `${trial.run.name} ` : ""}${trial.number}`));
      const cell = el("td", {});
      examples.forEach((button, i) => cell.append(...(i ? [", ", button] : [button])));
      if (group.length > examples.length) cell.append(" ...");
      return el("tr", {}, el("td", { class: "number" }, String(group.length)), el("td", { class: "text" }, clip(group[0].error || "unknown", 400)), cell);
    });
    const head = el("tr", {}, el("th", { class: "number" }, "Count"), el("th", {}, "Reason"), el("th", {}, "Pipelines"));
    made.body.replaceChildren(...(rows.length ? [el("div", { class: "scroll" }, el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows)))] : []));
  }
  return { node: made.node, draw };
}

function configurationCard() {
  const names = [...new Set(runs.flatMap((run) => run.data.config.map(([name]) => name)))];
  const held = runs.map((run) => new Map(run.data.config));
  const rows = names.map((name) => {
    const values = held.map((map) => map.get(name) ?? "");
    const differs = new Set(values).size > 1;
    return el("tr", {}, el("td", { class: "mono" }, name), ...values.map((value) => el("td", { class: differs ? "mono text differs" : "mono text" }, value)));
  });
  const head = el("tr", {}, el("th", {}, "Setting"), ...runs.map((run) => el("th", {}, many() ? run.name : "Value")));
  const table = el("div", { class: "scroll" }, el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows)));
  const missing = el("p", { class: "note" }, "These runs have no config.json, which a run of `ma2ml train` has.");
  const node = el("section", { class: "card wide" }, el("details", {}, el("summary", {}, "Configuration"), names.length ? table : missing));
  return { node, draw: () => {} };
}
