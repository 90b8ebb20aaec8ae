"use strict";
// Levels and latencies as SVG: colours come from the style, also when the theme changes.

const SVG = "http://www.w3.org/2000/svg";

/** Give an element a text, if it has another one. Texts are texts: nothing here makes HTML of anything. */
function put(element, text) {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

function mark(element, name, value) {
  if (value) {
    element.dataset[name] = value;
  } else {
    delete element.dataset[name];
  }
}

/** An element with a class and a text. */
function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) {
    element.className = className;
  }
  if (text !== undefined) {
    element.textContent = text;
  }
  return element;
}

const SPEAKS = 128; // of a level: it is speech; the rest is loudness in steps of half a decibel

/** How high a level is drawn, 0 to 1: between amplitude and loudness, so that words have a shape. */
function heightOf(level) {
  const decibels = ((level % SPEAKS) - (SPEAKS - 1)) / 2;
  return level % SPEAKS ? Math.min(1, (4 * 10 ** (decibels / 20)) ** 0.7) : 0;
}

/**
 * Draw levels: the caller's above the middle, the agent's below it; the newest is on the right.
 * `samples` of them fill the width, `group` of them are one bar: the loudest counts. What is no speech is faint.
 */
function drawWave(svg, levels, samples, group) {
  const box = svg.viewBox.baseVal;
  const step = box.width / (samples / group);
  const middle = box.height / 2;
  const paths = ["", "", "", ""];
  // Bars keep their place while they move: groups begin at multiples.
  const last = Math.floor((levels.length - 1) / group);
  for (let bar = 0; bar * group < samples; bar++) {
    const from = (last - bar) * group;
    if (from < 0) {
      break;
    }
    const x = (box.width - (bar + 0.5) * step).toFixed(1);
    for (let side = 0; side < 2; side++) {
      let loudest = 0;
      for (let i = from; i < Math.min(from + group, levels.length); i++) {
        loudest = Math.max(loudest, levels[i][side]);
      }
      const length = heightOf(loudest) * (middle - 2);
      if (length > 0.4) {
        paths[loudest >= SPEAKS ? side : side + 2] += `M${x} ${middle}v${(side ? length : -length).toFixed(1)}`;
      }
    }
  }
  svg.querySelectorAll(".of-caller, .of-agent").forEach((path, i) => path.setAttribute("d", paths[i]));
}

/** Draw how many calls there were: a line that ends now, and the area below it. */
function drawHistory(svg, numbers) {
  const most = Math.max(1, ...numbers);
  const step = 120 / Math.max(1, HISTORY_KEPT - 1);
  const points = numbers.map((n, i) => `${(120 - (numbers.length - 1 - i) * step).toFixed(2)} ${(23 - (n / most) * 21).toFixed(1)}`);
  const line = points.length > 1 ? `M${points.join("L")}` : "";
  svg.querySelector(".line").setAttribute("d", line);
  svg.querySelector(".area").setAttribute("d", line && `${line}L120 24L${points[0].split(" ")[0]} 24z`);
}

/** Draw latencies of turns as bars, with lines at whole seconds. */
function drawAnswers(figure, answers) {
  const shown = answers.slice(-40);
  const top = Math.max(2000, Math.ceil(Math.max(0, ...shown) / 1000) * 1000);
  const every = top > 6000 ? Math.ceil(top / 3000) * 1000 : 1000;
  const grid = figure.querySelector(".grid");
  const bars = figure.querySelector(".bars");
  const scale = figure.querySelector(".scale");
  grid.replaceChildren();
  bars.replaceChildren();
  scale.replaceChildren();
  for (let ms = every; ms <= top; ms += every) {
    const y = 110 - (ms / top) * 104;
    const line = document.createElementNS(SVG, "path");
    line.setAttribute("d", `M0 ${y.toFixed(1)}h600`);
    grid.append(line);
    const label = make("span", "", `${ms / 1000} s`);
    label.style.top = `${6 + (y / 110) * 70 + 14}px`;
    scale.append(label);
  }
  const step = 600 / Math.max(12, shown.length);
  shown.forEach((ms, i) => {
    const bar = document.createElementNS(SVG, "rect");
    const height = Math.max(2, (ms / top) * 104);
    bar.setAttribute("x", (i * step + step * 0.18).toFixed(1));
    bar.setAttribute("y", (110 - height).toFixed(1));
    bar.setAttribute("width", (step * 0.64).toFixed(1));
    bar.setAttribute("height", height.toFixed(1));
    bar.dataset.kind = answerKind(ms);
    const title = document.createElementNS(SVG, "title");
    title.textContent = `answer ${answers.length - shown.length + i + 1}: ${seconds(ms)}`;
    bar.append(title);
    bars.append(bar);
  });
}
