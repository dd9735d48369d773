// Lines on a canvas over a chart, in its axes. What moves while something is dragged is drawn so, in a fraction of the
// time that a chart takes to lay itself out.

export class Sketch {
  constructor(chart) {
    this.chart = chart;
    this.canvas = document.createElement("canvas");
    this.canvas.className = "xrd-sketch";
    this.canvas.ariaHidden = "true";
    chart.getDom().append(this.canvas);
    this.pen = this.canvas.getContext("2d");
  }

  // An empty canvas of the size of the chart.
  clear() {
    const [across, down, ratio] = [this.chart.getWidth(), this.chart.getHeight(), window.devicePixelRatio];
    const [width, height] = [Math.round(ratio * across), Math.round(ratio * down)];
    if (this.canvas.width !== width || this.canvas.height !== height) {
      Object.assign(this.canvas, { width, height });
      Object.assign(this.canvas.style, { width: `${across}px`, height: `${down}px` });
    }
    this.pen.setTransform(1, 0, 0, 1, 0, 0);
    this.pen.clearRect(0, 0, width, height);
    this.pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  }

  // A line through points of data, which null and what has no logarithm break. Its axes, the chart's by their indices,
  // reach from left to right and from bottom to top.
  line(points, { axes, colour, width, dash }, { left, right, bottom, top, log }) {
    const up = log ? Math.log : (value) => value;
    const [x0, y0] = this.chart.convertToPixel(axes, [left, bottom]);
    const [x1, y1] = this.chart.convertToPixel(axes, [right, top]);
    const [run, rise] = [(x1 - x0) / (right - left), (y1 - y0) / (up(top) - up(bottom))];
    const pen = this.pen;
    pen.save();
    pen.beginPath();
    pen.rect(x0, y1, x1 - x0, y0 - y1);
    pen.clip();
    pen.beginPath();
    let drawn = false;
    for (const [x, value] of points) {
      const y = value === null ? NaN : y0 + rise * (up(value) - up(bottom));
      if (!Number.isFinite(y)) drawn = false;
      else if (drawn) pen.lineTo(x0 + run * (x - left), y);
      else drawn = !pen.moveTo(x0 + run * (x - left), y);
    }
    Object.assign(pen, { strokeStyle: colour, lineWidth: width, lineJoin: "bevel" });
    pen.setLineDash(dash ?? []);
    pen.stroke();
    pen.restore();
  }
}
