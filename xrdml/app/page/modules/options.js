// Options of the charts: axes with units, colours of either theme, and how arrays become points. What does not move lies
// on a canvas below (zlevel −1), so that a drag draws its lines alone, and the box of the numbers is above them.

export const COLOURS = {
  light: { ink: "#1f2937", soft: "#6b7280", line: "#d1d5db", back: "#ffffff", measured: "#1d4ed8", left: "#9ca3af",
    model: "#c2410c", strain: "#c2410c", band: "#c2410c", damage: "#6d28d9", point: "#1d4ed8", mask: "rgba(107,114,128,.18)" },
  dark: { ink: "#e5e7eb", soft: "#9ca3af", line: "#374151", back: "#111827", measured: "#60a5fa", left: "#6b7280",
    model: "#fb923c", strain: "#fb923c", band: "#fb923c", damage: "#a78bfa", point: "#60a5fa", mask: "rgba(156,163,175,.18)" },
};

// The lines that move: the axes of their charts and how they are drawn.
export const LINES = {
  model: { chart: "curve", axes: { xAxisIndex: 0, yAxisIndex: 0 }, colour: "model", width: 1.8 },
  residual: { chart: "curve", axes: { xAxisIndex: 1, yAxisIndex: 1 }, colour: "measured", width: 1 },
  strain: { chart: "profile", axes: { xAxisIndex: 0, yAxisIndex: 0 }, colour: "strain", width: 2 },
  E: { chart: "profile", axes: { xAxisIndex: 0, yAxisIndex: 1 }, colour: "damage", width: 1.8, dash: [6, 4] },
};

const POWERS = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };

export function power(value) {
  const exponent = Math.round(Math.log10(value));
  if (Math.abs(Math.log10(value) - exponent) > 1e-6) return "";
  return "10" + [...String(exponent)].map((sign) => POWERS[sign]).join("");
}

// The decades about positive values.
export function decades(values) {
  let low = Infinity, high = 0;
  for (const value of values) {
    if (value > 0 && value < low) low = value;
    if (value > high) high = value;
  }
  if (!(high > 0)) return [1, 10];
  return [10 ** Math.floor(Math.log10(low) + 0.15), 10 ** Math.ceil(Math.log10(high * 1.05))];
}

// The next of 1, 2, 5, 10, … that is not smaller.
export function nice(value) {
  const unit = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].find((each) => each * unit >= value * 0.999) * unit;
}

// An axis that holds two values: its ends, at full intervals.
export function ends(low, high) {
  const interval = nice((high - low) / 6 || 1);
  return { min: interval * Math.floor(low / interval + 1e-6), max: interval * Math.ceil(high / interval - 1e-6), interval };
}

export function pairs(x, y, keep) {
  const out = [];
  for (let i = 0; i < x.length; i++) if (!keep || keep(i)) out.push([x[i], y[i]]);
  return out;
}

// The same without a line across what is left out: gaps of more than three usual steps.
export function broken(x, y) {
  const wide = (3 * (x[x.length - 1] - x[0])) / (x.length - 1);
  return x.flatMap((at, i) => (i && at - x[i - 1] > wide ? [[at, null], [at, y[i]]] : [[at, y[i]]]));
}

const tidy = (value) => String(Number(Number(value).toPrecision(6)));

function axis(colour, more) {
  return {
    type: "value", zlevel: -1, nameLocation: "middle", nameTextStyle: { color: colour.ink, fontSize: 13 },
    axisLine: { show: true, lineStyle: { color: colour.soft }, onZero: false }, axisTick: { show: true },
    axisLabel: { color: colour.ink, fontSize: 12, hideOverlap: true, formatter: tidy, showMinLabel: null, showMaxLabel: null }, splitLine: { lineStyle: { color: colour.line, opacity: 0.5 } },
    ...more,
  };
}

const common = (colour) => ({
  animation: false, backgroundColor: "transparent", textStyle: { fontFamily: "system-ui, sans-serif" },
  aria: { enabled: false },
  tooltip: { trigger: "axis", renderMode: "richText", confine: true, backgroundColor: colour.back, borderColor: colour.line,
    textStyle: { color: colour.ink, fontSize: 12 }, axisPointer: { lineStyle: { color: colour.soft } } },
});

const legend = (colour, data, more = {}) => ({
  data, right: 12, top: 4, itemWidth: 16, itemHeight: 4, selectedMode: false,
  textStyle: { color: colour.ink, fontSize: 12 }, ...more,
});

const still = { type: "line", showSymbol: false, silent: true, emphasis: { disabled: true } };

function moving(id, c) {
  const { axes, colour, width, dash } = LINES[id];
  return { id, name: id, ...still, ...axes, lineStyle: { color: c[colour], width, type: dash ?? "solid" }, itemStyle: { color: c[colour] }, data: [] };
}

export function curveOption(dark) {
  const c = COLOURS[dark ? "dark" : "light"];
  const dots = { type: "scatter", zlevel: -1, symbolSize: 4, silent: true, emphasis: { disabled: true }, large: true, largeThreshold: 100 };
  return {
    ...common(c),
    axisPointer: { link: [{ xAxisIndex: "all" }] },
    legend: legend(c, [{ name: "measured", icon: "circle" }, { name: "model", icon: "rect" }, { name: "left out", icon: "circle" }], { itemHeight: 7 }),
    grid: [
      { left: 66, right: 16, top: 30, bottom: "36%", outerBoundsMode: "none" },
      { left: 66, right: 16, height: "18%", bottom: 46, outerBoundsMode: "none" },
    ],
    xAxis: [
      axis(c, { gridIndex: 0, axisLabel: { show: false } }),
      axis(c, { gridIndex: 1, name: "θ of the substrate − θ [″]", nameGap: 28,
        axisLabel: { color: c.ink, fontSize: 12, hideOverlap: true, formatter: tidy, showMinLabel: false, showMaxLabel: false } }),
    ],
    yAxis: [
      axis(c, { type: "log", gridIndex: 0, name: "intensity", nameGap: 46, axisLabel: { color: c.ink, fontSize: 12, formatter: power } }),
      axis(c, { gridIndex: 1, name: "residual", nameGap: 46, splitNumber: 2, axisLabel: { color: c.ink, fontSize: 12, formatter: tidy } }),
    ],
    tooltip: { ...common(c).tooltip, valueFormatter: tidy },
    series: [
      { id: "measured", name: "measured", ...dots, itemStyle: { color: c.measured }, data: [] },
      { id: "left", name: "left out", ...dots, itemStyle: { color: c.left }, data: [],
        markArea: { silent: true, itemStyle: { color: c.mask }, data: [] } },
      { ...moving("model", c), z: 5 },
      { ...moving("residual", c),
        markArea: { silent: true, itemStyle: { color: c.mask }, data: [] } },
    ],
  };
}

export function profileOption(dark, damage) {
  const c = COLOURS[dark ? "dark" : "light"];
  const hidden = { ...still, zlevel: -1, lineStyle: { opacity: 0 }, itemStyle: { opacity: 0 }, tooltip: { show: false }, stackStrategy: "all" };
  const bands = [];
  for (const [what, axisIndex, colour] of [["strain", 0, c.band], ["E", 1, c.damage]]) {
    for (const [name, opacity] of [["95", 0.15], ["68", 0.22]]) {
      const stack = what + name;
      bands.push({ id: stack + "low", name: stack + "low", ...hidden, stack, yAxisIndex: axisIndex, data: [] });
      bands.push({ id: stack + "width", name: stack + "width", ...hidden, stack, yAxisIndex: axisIndex,
        areaStyle: { color: colour, opacity }, data: [] });
    }
  }
  const right = axis(c, { name: "E", min: 0, max: 1, position: "right", nameGap: 34, splitLine: { show: false }, show: damage,
    nameTextStyle: { color: c.damage, fontSize: 13 }, axisLabel: { color: c.damage, fontSize: 12 } });
  return {
    ...common(c),
    tooltip: { ...common(c).tooltip, valueFormatter: tidy },
    legend: legend(c, ["strain", ...(damage ? ["E"] : []), "last fit"].map((name) => ({ name, icon: "rect" }))),
    grid: { left: 62, right: damage ? 54 : 16, top: 30, bottom: 46, outerBoundsMode: "none" },
    xAxis: axis(c, { name: "depth [Å]", nameGap: 28, min: 0 }),
    yAxis: [axis(c, { name: "strain [%]", nameGap: 42, axisLabel: { color: c.ink, fontSize: 12, formatter: tidy } }), right],
    series: [
      ...bands,
      { id: "fit", name: "last fit", ...still, z: 3, lineStyle: { color: c.soft, width: 1.4, type: "dashed" }, itemStyle: { color: c.soft }, data: [] },
      { ...moving("strain", c), z: 5 },
      { ...moving("E", c), z: 4 },
      { id: "points", name: "control points", type: "scatter", z: 8, symbolSize: 13, tooltip: { show: false }, cursor: "ns-resize",
        itemStyle: { color: c.point, borderColor: c.back, borderWidth: 2 }, data: [] },
    ],
  };
}

// Lower end and width of the bands that hold 95 and 68 %, of quantiles in ascending order.
export function bandData(depth, band, prefix) {
  const none = { depth: [], band: [[], [], [], []] };
  const of = band && band.length ? { depth, band } : none;
  const width = (low, high) => of.depth.map((z, i) => [z, Math.max(of.band[high][i] - of.band[low][i], 0)]);
  return [
    { id: prefix + "95low", data: pairs(of.depth, of.band[0]) },
    { id: prefix + "95width", data: width(0, 3) },
    { id: prefix + "68low", data: pairs(of.depth, of.band[1]) },
    { id: prefix + "68width", data: width(1, 2) },
  ];
}
