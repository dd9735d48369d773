// The measured curve with the model and its residuals, and the profile: two charts whose lines move by themselves.
import { echarts } from "nicegui-echart";
import { COLOURS, LINES, bandData, broken, curveOption, decades, ends, nice, pairs, profileOption } from "xrd-modules/options.js";
import { Sketch } from "xrd-modules/sketch.js";

export default {
  props: { dark: Boolean },
  template: `
  <div class="xrd-plots">
    <div class="xrd-curve">
      <div class="xrd-tools" role="toolbar" aria-label="what dragging on the curve does">
        <button type="button" :aria-pressed="String(tool === 'zoom')" title="drag: zoom in; double click: whole curve"
          @click="tool = 'zoom'">zoom</button>
        <button type="button" :aria-pressed="String(tool === 'mask')" class="mask"
          title="drag: leave angles out of the fit; click on grey: take them in again" @click="tool = 'mask'">mask</button>
        <button type="button" title="show the whole curve" @click="whole">whole</button>
      </div>
      <div ref="curve" class="xrd-chart" role="img" :aria-label="curveLabel"></div>
    </div>
    <div class="xrd-profile"><div ref="profile" class="xrd-chart" role="img" :aria-label="profileLabel"></div></div>
  </div>`,
  data: () => ({ tool: "zoom", curveLabel: "no curve", profileLabel: "no profile" }),
  created() {
    this.still = null; // what does not move, not reactive for speed
    this.last = null;
    this.grip = null;
    this.range = null;
  },
  async mounted() {
    window.xrd ??= { latency: [], sent: {} };
    await new Promise((resolve) => setTimeout(resolve, 0));
    this.curve = echarts.init(this.$refs.curve);
    this.profile = echarts.init(this.$refs.profile);
    this.sketches = { curve: new Sketch(this.curve), profile: new Sketch(this.profile) };
    this.restyle();
    this.observer = new ResizeObserver(() => {
      this.curve.resize();
      this.profile.resize();
    });
    this.observer.observe(this.$refs.curve);
    this.observer.observe(this.$refs.profile);
    this.listen();
    window.xrd.plots = this;
    this.$emit("ready");
  },
  unmounted() {
    this.observer?.disconnect();
    this.curve?.dispose();
    this.profile?.dispose();
  },
  watch: {
    dark() {
      this.restyle();
    },
  },
  methods: {
    restyle() {
      if (!this.curve) return;
      this.axes = {};
      this.curve.setOption(curveOption(this.dark), true);
      this.profile.setOption(profileOption(this.dark, Boolean(this.last?.damage)), true);
      this.damaged = Boolean(this.last?.damage);
      if (this.still) this.show(this.still);
      if (this.last) this.draw({ ...this.last, seq: 0 });
    },
    show(still) {
      this.still = still;
      if (!this.curve) return;
      const { angle, measured, used } = still;
      this.intensities = decades(measured);
      const [low, high] = this.intensities;
      const masks = still.left_out.map(([from, to]) => [{ xAxis: from }, { xAxis: to }]);
      if (still.mask > 0) masks.push([{ xAxis: -still.mask }, { xAxis: still.mask }]);
      const positive = (i) => measured[i] > 0;
      if (this.name !== still.name) this.range = null;
      this.name = still.name;
      this.curve.setOption({
        yAxis: [{ min: low, max: high }, { name: `residual [${still.unit}]` }],
        series: [
          { id: "measured", data: pairs(angle, measured, (i) => used[i] && positive(i)) },
          { id: "left", data: [...pairs(angle, measured, (i) => !used[i] && positive(i)), ...still.aside],
            markArea: { data: masks } },
          { id: "residual", markArea: { data: still.unit === "σ" ? [[{ yAxis: -2 }, { yAxis: 2 }]] : [] } },
        ],
      });
      this.zoom();
      const bands = still.bands;
      const options = [...bandData(bands?.depth ?? [], still.stale ? null : bands?.band, "strain"),
        ...bandData(bands?.depth ?? [], still.stale ? null : bands?.damage_band, "E")];
      options.push({ id: "fit", data: bands && still.stale ? pairs(bands.depth, bands.strain) : [] });
      this.profile.setOption({ series: options });
    },
    draw(moving) {
      this.last = moving;
      if (!this.curve || !this.still) return;
      const damaged = Boolean(moving.damage);
      if (damaged !== this.damaged) this.restyleProfile(damaged);
      this.reach(moving);
      const lines = {
        model: pairs(this.still.angle, moving.model),
        residual: broken(this.still.residual_angle, moving.residual),
        strain: pairs(moving.depth, moving.strain),
      };
      if (damaged) lines.E = pairs(moving.depth, moving.damage);
      if (moving.seq) this.sketch(lines);
      else this.settle(lines);
      if (moving.points || this.pointed) this.profile.setOption({ series: [{ id: "points", data: moving.points ?? [] }] });
      this.pointed = Boolean(moving.points);
      if (moving.seq) requestAnimationFrame(() => setTimeout(() => this.clock(moving.seq)));
    },
    // Axes that hold what moves, changed only where they do not fit.
    reach({ residual, depth, strain, points }) {
      const { bands, stale } = this.still;
      const far = Math.max(...residual.map(Math.abs));
      const end = nice(this.still.unit === "σ" ? Math.min(Math.max(3, far), 1e4) : Math.max(0.1, far));
      const fitted = stale ? bands?.strain : bands?.band.flat();
      const seen = [0, 1e-6, ...strain, ...(fitted ?? []), ...(points ?? []).map((point) => point[1])];
      const axes = {
        residual: { min: -end, max: end, interval: end },
        depth: ends(0, depth[depth.length - 1]),
        strain: ends(Math.min(...seen), Math.max(...seen)),
      };
      const same = (name) => JSON.stringify(axes[name]) === JSON.stringify(this.axes[name]);
      if (!same("residual")) this.curve.setOption({ yAxis: [{}, axes.residual] });
      if (!same("depth") || !same("strain")) this.profile.setOption({ xAxis: axes.depth, yAxis: [axes.strain, {}] });
      this.axes = axes;
    },
    // The charts draw the lines.
    settle(lines) {
      this.hold(lines);
      for (const name of ["curve", "profile"]) this.sketches[name].clear();
      this.sketched = false;
      this.curveLabel = `rocking curve, ${this.still.angle.length} points, and model: ${this.last.agreement}`;
      this.profileLabel = `strain profile: largest strain ${Math.max(...this.last.strain).toPrecision(3)} %`;
    },
    // The lines are drawn over the charts, which have none meanwhile.
    sketch(lines) {
      if (!this.sketched) this.hold(Object.fromEntries(Object.keys(lines).map((id) => [id, []])));
      this.sketched = true;
      const [left, right] = this.angles();
      const [bottom, top] = this.intensities;
      const { depth, residual, strain } = this.axes;
      const deep = { left: depth.min, right: depth.max };
      const boxes = {
        model: { left, right, bottom, top, log: true },
        residual: { left, right, bottom: residual.min, top: residual.max },
        strain: { ...deep, bottom: strain.min, top: strain.max },
        E: { ...deep, bottom: 0, top: 1 },
      };
      const colours = COLOURS[this.dark ? "dark" : "light"];
      for (const name of ["curve", "profile"]) this.sketches[name].clear();
      for (const [id, points] of Object.entries(lines)) {
        const line = LINES[id];
        this.sketches[line.chart].line(points, { ...line, colour: colours[line.colour] }, boxes[id]);
      }
    },
    hold(lines) {
      for (const name of ["curve", "profile"]) {
        const own = Object.entries(lines).filter(([id]) => LINES[id].chart === name);
        this[name].setOption({ series: own.map(([id, data]) => ({ id, data })) });
      }
    },
    restyleProfile(damaged) {
      this.damaged = damaged;
      this.axes = {};
      this.profile.setOption(profileOption(this.dark, damaged), true);
      this.show(this.still);
    },
    // From the moment of a drag until its curve is on the screen.
    clock(seq) {
      const since = window.xrd.sent[seq];
      if (since === undefined) return;
      delete window.xrd.sent[seq];
      window.xrd.latency.push(performance.now() - since);
    },
    zoom() {
      const [from, to] = this.angles();
      this.curve.setOption({ xAxis: [{ min: from, max: to }, { min: from, max: to }] });
    },
    // The angles that are shown.
    angles() {
      return this.range ?? [this.still.angle[0], this.still.angle[this.still.angle.length - 1]];
    },
    whole() {
      this.range = null;
      if (this.still) this.zoom();
    },
    listen() {
      const curve = this.curve.getZr();
      const at = (event) => this.curve.convertFromPixel({ xAxisIndex: 0 }, event.offsetX);
      const inside = (event) => this.curve.containPixel({ gridIndex: 0 }, [event.offsetX, event.offsetY])
        || this.curve.containPixel({ gridIndex: 1 }, [event.offsetX, event.offsetY]);
      let from = null;
      curve.on("mousedown", (event) => {
        if (this.still && inside(event)) from = at(event);
      });
      curve.on("mousemove", (event) => {
        if (from !== null) this.select(from, at(event));
      });
      curve.on("mouseup", (event) => {
        if (from === null) return;
        const [first, last] = [from, at(event)].sort((a, b) => a - b);
        from = null;
        this.select(null);
        const span = this.still.angle[this.still.angle.length - 1] - this.still.angle[0];
        const far = last - first > 0.004 * span;
        if (this.tool === "zoom" && far) {
          this.range = [first, last];
          this.zoom();
        } else if (this.tool === "mask") {
          this.$emit(far ? "mask" : "unmask", far ? { low: first, high: last } : { at: first });
        }
      });
      curve.on("globalout", () => {
        from = null;
        this.select(null);
      });
      curve.on("dblclick", () => this.whole());
      const profile = this.profile.getZr();
      profile.on("mousedown", (event) => {
        this.grip = this.near(event);
      });
      profile.on("mousemove", (event) => {
        this.$refs.profile.style.cursor = this.grip || this.near(event) ? "ns-resize" : "default";
        if (!this.grip) return;
        this.profile.dispatchAction({ type: "hideTip" });
        const value = this.profile.convertFromPixel({ yAxisIndex: 0 }, event.offsetY) / 100;
        if (Number.isFinite(value)) window.xrd.table?.request(this.grip, value);
      });
      const release = () => {
        if (this.grip) window.xrd.table?.settle();
        this.grip = null;
      };
      profile.on("mouseup", release);
      profile.on("globalout", release);
    },
    near(event) {
      for (const [depth, strain, name] of this.last?.points ?? []) {
        const [x, y] = this.profile.convertToPixel({ xAxisIndex: 0, yAxisIndex: 0 }, [depth, strain]);
        if (Math.hypot(x - event.offsetX, y - event.offsetY) < 12) return name;
      }
      return null;
    },
    select(from, to) {
      const colour = COLOURS[this.dark ? "dark" : "light"];
      const fill = this.tool === "mask" ? colour.mask : "rgba(59,130,246,.18)";
      const data = from === null ? [] : [[{ xAxis: Math.min(from, to) }, { xAxis: Math.max(from, to) }]];
      this.curve.setOption({ series: [{ id: "measured", markArea: { silent: true, itemStyle: { color: fill }, data } }] });
    },
  },
};
