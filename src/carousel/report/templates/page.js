"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const touch = matchMedia("(pointer: coarse)").matches;
  const root = document.documentElement;
  const NARROW = 640;
  const config = {
    responsive: true, displaylogo: false, displayModeBar: !touch, modeBarButtons: [["toImage", "resetScale2d"]],
  };

  const themed = (value, styles) => {
    if (typeof value === "string" && value.startsWith("@")) return styles.getPropertyValue("--" + value.slice(1)).trim();
    return value;
  };

  // Colours stand under keys that speak of colour; other text is never replaced, whatever it says.
  const painted = (node, styles, isColour) => {
    if (Array.isArray(node)) return isColour ? node.map((item) => painted(item, styles, true)) : node.map((item) =>
      item !== null && typeof item === "object" ? painted(item, styles, false) : item);
    if (node !== null && typeof node === "object") {
      return Object.fromEntries(Object.entries(node).map(([key, item]) => [key, painted(item, styles, /color/.test(key))]));
    }
    return isColour ? themed(node, styles) : node;
  };

  const dressed = (figure, styles) => {
    const { data, layout } = painted(figure, styles, false);
    layout.font.family = getComputedStyle(document.body).fontFamily;
    layout.dragmode = touch ? false : "zoom";
    if (innerWidth < NARROW) {
      for (const [name, axis] of Object.entries(layout)) if (/^xaxis/.test(name)) axis.nticks = Math.min(axis.nticks, 4);
    }
    return { data, layout };
  };

  const drawAll = async () => {
    const styles = getComputedStyle(root);
    let drawn = 0;
    for (const [name, figure] of Object.entries(figures)) {
      const { data, layout } = dressed(figure, styles);
      await Plotly.react(document.getElementById(name), data, layout, config);
      drawn += 1;
    }
    root.dataset.drawn = String(drawn);
  };

  dark.addEventListener("change", drawAll);
  addEventListener("beforeprint", () => { root.classList.add("printing"); drawAll(); });
  addEventListener("afterprint", () => { root.classList.remove("printing"); drawAll(); });
  drawAll();
})();
