"use strict";
(() => {
  const at = (id) => document.getElementById(id);
  const facts = JSON.parse(at("facts").textContent);
  const paper = at("paper"), strip = at("strip"), spikes = at("spikes");
  const dark = matchMedia("(prefers-color-scheme: dark)"), still = matchMedia("(prefers-reduced-motion: reduce)");
  const WIDEST = 9, PAUSE = 80, TWEEN = 260;   // pixels a step of time; milliseconds between readings, and of a movement
  const ABOUT = {
    cell: "what the cells hold, squashed by tanh", hidden: "what the layer says to the next",
    input: "how much of the new is let in", forget: "how much of the old is kept", output: "how much of the cell is shown",
  };

  let strokes = [], drawing = null, pointer = null, zoom = 1;
  let found = null, shown = [], picked = false, version = 0, asked = -1, asking = false, last = 0;
  let tween = null, playing = null, pointed = null, colours = {};

  // Colours come from the page's style, which knows light and dark.
  const rgb = (name) => {
    const probe = document.createElement("canvas").getContext("2d");
    probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    const hex = probe.fillStyle;
    return [1, 3, 5].map((place) => parseInt(hex.slice(place, place + 2), 16));
  };
  const paint = () => {
    for (const name of ["ink", "card", "cold", "warm", "heat-0", "heat-1", "heat-2", "muted", "rule", "accent"]) colours[name] = rgb("--" + name);
    for (let number = 1; number <= 6; number += 1) colours[number - 1] = rgb("--series-" + number);
  };
  const css = ([red, green, blue], alpha = 1) => `rgba(${red}, ${green}, ${blue}, ${alpha})`;
  const between = (first, second, share) => first.map((value, place) => Math.round(value + (second[place] - value) * share));
  const isShare = () => !["cell", "hidden"].includes(at("part").value);
  const heat = (value) => {
    if (!isShare()) return between(colours.card, value < 0 ? colours.cold : colours.warm, Math.min(1, Math.abs(value)));
    return value < 0.5 ? between(colours["heat-0"], colours["heat-1"], 2 * value) : between(colours["heat-1"], colours["heat-2"], 2 * value - 1);
  };

  const sized = (canvas) => {
    const ratio = devicePixelRatio || 1, box = canvas.getBoundingClientRect();
    const wide = Math.round(box.width * ratio), high = Math.round(box.height * ratio);
    if (canvas.width !== wide || canvas.height !== high) Object.assign(canvas, { width: wide, height: high });
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, box.width, box.height);
    return [pen, box.width, box.height];
  };
  const line = (pen, points) => {
    pen.beginPath();
    points.forEach(([x, y], place) => (place ? pen.lineTo(x, y) : pen.moveTo(x, y)));
    if (points.length === 1) pen.lineTo(points[0][0] + 0.01, points[0][1]);
    pen.stroke();
  };

  const unit = () => Number(at("unit").value);
  const reached = () => (playing ? playing.step : pointed);   // the step that is marked, if any
  const backwards = () => Boolean(at("backward").value);
  const isPast = (step) => !playing || (backwards() ? step >= playing.step : step <= playing.step);
  const stepWidth = () => Math.min(WIDEST, strip.getBoundingClientRect().width / Math.max(1, shown.length));

  const drawPaper = () => {
    const [pen] = sized(paper);
    pen.scale(zoom, zoom);
    pen.lineCap = pen.lineJoin = "round";
    if (found && shown.length) {
      pen.lineWidth = 15;
      const begins = new Set(found.begins);
      for (let step = 1; step < Math.min(shown.length, found.places.length); step += 1) {
        if (begins.has(step) || !isPast(step)) continue;
        pen.strokeStyle = css(between(colours.card, heat(shown[step][unit()] ?? 0), 0.75));
        line(pen, [found.places[step - 1], found.places[step]]);
      }
    }
    pen.strokeStyle = css(colours.ink);
    pen.lineWidth = 2.6;
    for (const stroke of strokes) line(pen, stroke);
    const place = found && found.places[reached()];
    if (place) {
      pen.fillStyle = css(colours.accent);
      pen.beginPath();
      pen.arc(...place, 6, 0, 7);
      pen.fill();
    }
  };

  const drawStrip = () => {
    const [pen, wide, high] = sized(strip);
    if (!shown.length) {
      pen.fillStyle = css(colours.muted);
      pen.font = `14px ${getComputedStyle(document.body).fontFamily}`;
      pen.fillText("Nothing is written yet.", 2, 20);
      return;
    }
    const units = shown[0].length, across = stepWidth(), row = high / units;
    const picture = new ImageData(shown.length, units);
    shown.forEach((column, step) => column.forEach((value, place) => {
      picture.data.set([...heat(value), isPast(step) ? 255 : 45], 4 * (place * shown.length + step));
    }));
    const small = Object.assign(document.createElement("canvas"), { width: shown.length, height: units });
    small.getContext("2d").putImageData(picture, 0, 0);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(small, 0, 0, across * shown.length, high);
    pen.strokeStyle = css(colours.accent);
    pen.lineWidth = 2;
    pen.strokeRect(1, unit() * row, Math.min(across * shown.length, wide) - 2, row);
    drawMark(pen, high);
  };
  const drawMark = (pen, high) => {
    if (reached() === null) return;
    pen.fillStyle = css(colours.accent);
    pen.fillRect((reached() + 0.5) * stepWidth() - 1, 0, 2, high);
  };

  const drawSpikes = () => {
    const [pen, wide, high] = sized(spikes), floor = high - 6, top = 22;
    pen.fillStyle = css(colours.rule);
    pen.fillRect(0, floor, wide, 1);
    if (!found) return;
    const across = stepWidth(), bottom = (share) => floor - share * (floor - top);
    Object.entries(found.says).forEach(([symbol, shares]) => {
      const colour = colours[facts.symbols.indexOf(symbol) % 6];
      pen.beginPath();
      pen.moveTo(0, floor);
      shares.forEach((share, step) => pen.lineTo((step + 0.5) * across, bottom(isPast(step) ? share : 0)));
      pen.lineTo(shares.length * across, floor);
      pen.fillStyle = css(colour, 0.25);
      pen.fill();
      pen.strokeStyle = css(colour);
      pen.lineWidth = 1.5;
      pen.stroke();
    });
    pen.font = `600 15px ${getComputedStyle(document.body).fontFamily}`;
    pen.textAlign = "center";
    for (const { symbol, start, end } of found.symbols) {
      if (!isPast(backwards() ? end - 1 : start)) continue;
      pen.fillStyle = css(colours[facts.symbols.indexOf(symbol) % 6]);
      pen.fillText(symbol === " " ? "␣" : symbol, Math.min(wide - 6, Math.max(6, ((start + end) / 2) * across)), 15);
    }
    drawMark(pen, high);
  };

  const drawAll = () => { drawPaper(); drawStrip(); drawSpikes(); };

  const element = (name, text, kind) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (kind) made.className = kind;
    return made;
  };
  const bar = (share) => {
    const made = element("span", undefined, "bar"), inside = element("span");
    inside.style.width = `${100 * share}%`;
    made.append(inside);
    return made;
  };
  const percent = (share) => (share > 0 && share < 0.01 ? "< 1 %" : `${Math.round(100 * share)} %`);

  const tell = () => {
    const readings = found ? found.readings : [], symbols = found ? found.symbols : [];
    at("text").textContent = found ? `Read: ${found.text || "nothing"}` : "";
    at("symbols").replaceChildren(...symbols.map(({ symbol, confidence }) => {
      const tile = element("li", symbol === " " ? "␣" : symbol, symbol === " " ? "space" : "");
      tile.append(bar(confidence), element("small", percent(confidence)));
      return tile;
    }));
    at("readings").replaceChildren(...[0, 1, 2, 3, 4].map((place) => {
      const row = element("tr"), reading = readings[place], measure = element("span", undefined, "measure");
      if (reading) measure.append(bar(reading.probability), element("span", percent(reading.probability), "value"));
      const share = element("td");
      share.append(measure);
      row.append(element("td", reading ? reading.text || "(nothing)" : ""), share);
      return row;
    }));
    at("hint").hidden = strokes.length > 0;
    for (const name of ["clear", "undo", "replay"]) at(name).disabled = strokes.length === 0;
  };

  const say = (words, wrong = false) => {
    at("status").textContent = words;
    at("status").classList.toggle("wrong", wrong);
  };

  // The memory of the reading before moves to that of the new one.
  const move = (memory) => {
    const from = shown, began = performance.now();
    cancelAnimationFrame(tween);
    const frame = (now) => {
      const share = still.matches ? 1 : Math.min(1, (now - began) / TWEEN);
      const eased = share * (2 - share);
      shown = memory.map((column, step) => column.map((value, place) => {
        const before = from[step]?.[place] ?? 0;
        return before + (value - before) * eased;
      }));
      drawAll();
      if (share < 1) tween = requestAnimationFrame(frame);
    };
    frame(began);
  };

  const liveliest = (memory) => {
    const spread = memory[0].map((_, place) => {
      const values = memory.map((column) => column[place]), mean = values.reduce((sum, own) => sum + own, 0) / values.length;
      return values.reduce((sum, own) => sum + (own - mean) ** 2, 0);
    });
    return spread.indexOf(Math.max(...spread));
  };

  const take = (answer) => {
    found = answer;
    if (playing) stop();
    pointed = null;
    at("unit").max = answer.memory[0].length - 1;
    if (!picked) at("unit").value = liveliest(answer.memory);
    nameUnit();
    move(answer.memory);
    tell();
  };
  const nameUnit = () => { at("unit-name").textContent = Number(at("unit").value) + 1; };

  const changed = () => { version += 1; tell(); ask(); };
  const ask = async () => {
    if (asking || asked === version || !strokes.length) return;
    asking = true;
    const wait = PAUSE - (performance.now() - last);
    if (wait > 0) await new Promise((done) => setTimeout(done, wait));
    last = performance.now();
    const mine = (asked = version);
    const question = { strokes, show: at("part").value, backward: backwards() };
    try {
      const response = await fetch("/read", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(question) });
      const answer = await response.json();
      if (strokes.length && response.ok) take(answer);
      say(response.ok ? `read in ${Math.round(performance.now() - last)} ms` : answer.error, !response.ok);
    } catch {
      say("the demo does not answer any more; begin it again in the terminal", true);
    }
    document.documentElement.dataset.read = mine;
    asking = false;
    if (asked !== version) ask();
  };

  const clear = () => {
    stop();
    cancelAnimationFrame(tween);
    [strokes, drawing, pointer, found, shown, pointed, picked, zoom] = [[], null, null, null, [], null, false, 1];
    version += 1;
    say("");
    tell();
    drawAll();
  };

  const where = (event) => {
    const box = paper.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top].map((value) => Math.round((10 * value) / zoom) / 10);
  };
  const far = (first, second) => Math.hypot(first[0] - second[0], first[1] - second[1]) >= 1;
  const begin = (event) => {
    if (pointer !== null || (event.pointerType === "mouse" && event.button !== 0)) return;
    event.preventDefault();
    stop();
    pointer = event.pointerId;
    paper.setPointerCapture(pointer);
    drawing = [where(event)];
    strokes.push(drawing);
    drawPaper();
    changed();
  };
  const go = (event) => {
    if (event.pointerId !== pointer) return;
    const passed = event.getCoalescedEvents?.() ?? [];
    for (const own of passed.length ? passed : [event]) {
      const place = where(own);
      if (far(place, drawing.at(-1))) drawing.push(place);
    }
    drawPaper();
    changed();
  };
  const end = (event) => {
    if (event.pointerId !== pointer) return;
    [pointer, drawing] = [null, null];
    changed();
  };
  paper.addEventListener("pointerdown", begin);
  paper.addEventListener("pointermove", go);
  for (const name of ["pointerup", "pointercancel"]) paper.addEventListener(name, end);

  const stop = () => {
    if (!playing) return;
    cancelAnimationFrame(playing.frame);
    playing = null;
    at("replay").textContent = "Replay";
    drawAll();
  };
  const play = () => {
    if (playing) return stop();
    if (!shown.length) return undefined;
    const began = performance.now(), takes = Math.min(9000, Math.max(1500, 35 * shown.length)), steps = shown.length - 1;
    const frame = (now) => {
      const share = Math.min(1, (now - began) / takes);
      playing.step = Math.round((backwards() ? 1 - share : share) * steps);
      drawAll();
      if (share < 1) playing.frame = requestAnimationFrame(frame);
      else stop();
    };
    playing = { step: 0, frame: 0 };
    at("replay").textContent = "Stop";
    frame(began);
    return undefined;
  };

  const point = (event) => {
    const step = Math.floor((event.clientX - strip.getBoundingClientRect().left) / stepWidth());
    pointed = step >= 0 && step < shown.length ? step : null;
    drawAll();
  };
  for (const canvas of [strip, spikes]) {
    canvas.addEventListener("pointermove", point);
    canvas.addEventListener("pointerleave", () => { pointed = null; drawAll(); });
  }
  strip.addEventListener("pointerdown", (event) => {
    if (!shown.length) return;
    const box = strip.getBoundingClientRect();
    at("unit").value = Math.floor(((event.clientY - box.top) / box.height) * shown[0].length);
    at("unit").dispatchEvent(new Event("input"));
    point(event);
  });
  at("unit").addEventListener("input", () => { picked = true; nameUnit(); drawAll(); });

  const scale = () => {
    const share = isShare();
    at("scale-low").textContent = share ? "0" : "−1";
    at("scale-high").textContent = "1";
    at("ramp").className = share ? "ramp share" : "ramp both";
    at("about").textContent = ABOUT[at("part").value] ?? "";
  };
  for (const name of ["part", "backward"]) at(name).addEventListener("change", () => { scale(); shown = []; picked = false; drawAll(); changed(); });
  at("clear").addEventListener("click", clear);
  at("undo").addEventListener("click", () => (strokes.length > 1 ? (strokes.pop(), drawPaper(), changed()) : clear()));
  at("replay").addEventListener("click", play);

  // On a page that became too narrow for its ink, all of it is drawn smaller; what is read stays the same.
  const fit = () => {
    const right = Math.max(0, ...strokes.flat().map(([x]) => x)), now = paper.getBoundingClientRect().width;
    zoom = strokes.length && right > now && now > 0 ? now / (right + 12) : 1;
    drawAll();
  };
  new ResizeObserver(fit).observe(paper);
  dark.addEventListener("change", () => { paint(); drawAll(); });

  const digits = facts.symbols.every((symbol) => /^\d$/.test(symbol));
  at("title").textContent = digits ? "Write digits" : "Write by hand";
  at("lead").textContent = digits
    ? "A few digits side by side, as on paper. An LSTM reads the way of your pen as it comes; nobody tells it where a digit ends."
    : `An LSTM reads the way of your pen as it comes. It knows these symbols: ${facts.symbols.map((own) => (own === " " ? "space" : own)).join(" ")}`;
  at("network").textContent = `${facts.bidirectional ? "Bidirectional LSTM" : "LSTM"}, ${facts.layers} ${facts.layers > 1 ? "layers" : "layer"} of ${facts.units} units${
    facts.bidirectional ? " each way" : ""}, ${facts.weights.toLocaleString("en")} weights, connectionist temporal classification.`;
  at("direction").hidden = !facts.bidirectional;
  at("air").hidden = facts.lifts;
  at("part").replaceChildren(...Object.entries(facts.parts).map(([name, title]) => Object.assign(element("option", title), { value: name })));
  at("unit").max = facts.units - 1;
  nameUnit();
  paint();
  scale();
  tell();
  document.documentElement.dataset.ready = "1";
})();
