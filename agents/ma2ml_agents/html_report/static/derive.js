"use strict";
// Runs and their trials, and the curves that are derived from them.

const FAILED = new Set(["failed", "infeasible"]);

/** One run: its trials by number, and curves that are recomputed when trials arrive. */
class Run {
  constructor(data, index, topK) {
    this.data = data;
    this.name = data.name;
    this.color = `--series-${index % 7}`;
    this.topK = topK;
    this.visible = true;
    this.pictures = new Map((data.pictures || []).map((picture) => [picture.number, picture.image]));
    this.clear();
    this.add(data.trials);
  }

  clear() {
    this.byNumber = new Map();
  }

  /** Adds trials given as columns; one whose number is known replaces the earlier one. */
  add(columns) {
    const { lines, number } = columns;
    for (let i = 0; i < number.length; i++) {
      this.byNumber.set(number[i], {
        run: this,
        number: number[i],
        key: columns.key[i],
        seed: columns.seed[i],
        state: columns.state[i],
        failed: FAILED.has(columns.state[i]),
        reward: columns.reward[i],
        accuracy: columns.accuracy[i],
        flops: columns.flops[i],
        params: columns.params[i],
        seconds: columns.seconds[i],
        curve: columns.curve[i],
        error: columns.error[i] === null ? null : lines[columns.error[i]],
        words: columns.words[i],
        lines,
      });
    }
    this.trials = [...this.byNumber.values()].sort((a, b) => a.number - b.number);
    this.derive();
  }

  /** Number of the first trial that is missing. */
  get firstMissing() {
    let number = 0;
    while (this.byNumber.has(number)) number++;
    return number;
  }

  derive() {
    const seen = new Set();
    const highest = []; // rewards of the best distinct pipelines, ascending
    this.bestCurve = [];
    this.topCurve = [];
    this.seconds = 0;
    this.best = null;
    this.failures = 0;
    this.tooLarge = 0;
    this.trials.forEach((trial, i) => {
      trial.place = i + 1;
      if (!seen.has(trial.key)) {
        seen.add(trial.key);
        this.seconds += trial.seconds;
        insert(highest, trial.reward, this.topK);
        trial.first = true;
      } else trial.first = false;
      trial.clock = this.seconds;
      if (trial.state === "failed") this.failures++;
      if (trial.state === "infeasible") this.tooLarge++;
      if (!trial.failed && (this.best === null || trial.reward > this.best.reward)) this.best = trial;
      if (this.best) this.bestCurve.push({ trial: this.best, place: i + 1, clock: trial.clock, y: this.best.reward });
      if (highest.length === this.topK) this.topCurve.push({ place: i + 1, clock: trial.clock, y: mean(highest) });
    });
    this.distinct = seen.size;
    this.batches = [];
    for (let start = 0; start < this.trials.length; start += this.data.batch) {
      const batch = this.trials.slice(start, start + this.data.batch);
      this.batches.push({ x: this.batches.length + 1, y: mean(batch.map((trial) => trial.reward)), size: batch.length });
    }
  }

  get topMean() {
    return this.topCurve.length ? this.topCurve[this.topCurve.length - 1].y : null;
  }

  /** The best distinct pipelines, each by its earliest trial. */
  ranking() {
    return this.trials.filter((trial) => trial.first && !trial.failed).sort((a, b) => b.reward - a.reward || a.number - b.number);
  }
}

/** Inserts a number into an ascending list of at most k, whose least is dropped. */
function insert(list, value, k) {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle] <= value) low = middle + 1;
    else high = middle;
  }
  list.splice(low, 0, value);
  if (list.length > k) list.shift();
}

function mean(values) {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}

/** Points that no other one beats in both: least x, largest y; by ascending x. */
function paretoFront(trials, cost) {
  const ordered = trials.filter((trial) => !trial.failed && trial.first).sort((a, b) => cost(a) - cost(b) || b.accuracy - a.accuracy);
  const front = [];
  for (const trial of ordered) if (!front.length || trial.accuracy > front[front.length - 1].accuracy) front.push(trial);
  return front;
}

const UNITS = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];

/** A count in few letters: 12.3 M. */
function count(value) {
  for (const [unit, letter] of UNITS) if (Math.abs(value) >= unit * 0.9995) return `${trim((value / unit).toPrecision(3))} ${letter}`;
  return trim(value.toPrecision(3));
}

function trim(text) {
  return text.includes(".") && !text.includes("e") ? text.replace(/\.?0+$/, "") : text;
}

/** Seconds in words: 4.2 s, 3.4 min, 5.2 h. */
function duration(seconds) {
  if (seconds < 1) return `${trim(seconds.toPrecision(2))} s`;
  const [size, name] = [[120, 1, "s"], [7200, 60, "min"], [172800, 3600, "h"], [Infinity, 86400, "days"]].find(([most]) => seconds < most).slice(1);
  return `${(seconds / size).toFixed(1)} ${name}`;
}

/** The unit of an axis of seconds that reaches up to `most`. */
function timeUnit(most) {
  if (most > 2 * 86400) return [86400, "days"];
  if (most > 2 * 3600) return [3600, "hours"];
  return most > 120 ? [60, "minutes"] : [1, "seconds"];
}

const percent = (value, digits = 2) => `${(100 * value).toFixed(digits)} %`;
const fixed = (value) => value.toFixed(4);
const plural = (number, word) => `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;
