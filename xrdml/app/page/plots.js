// The measured curve with the model and its residuals, and the profile: two charts whose lines move by themselves.
import { echarts } from "nicegui-echart";
import { COLOURS, bandData, broken, curveOption, decades, pairs, profileOption } from "xrd-modules/options.js";

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
      this.scale = null;
      this.curve.setOption(curveOption(this.dark), true);
      this.profile.setOption(profileOption(this.dark, Boolean(this.last?.damage)), true);
      this.damaged = Boolean(this.last?.damage);
      if (this.still) this.show(this.still);
      if (this.last) this.draw(this.last);
    },
    show(still) {
      this.still = still;
      if (!this.curve) return;
      const { angle, measured, used } = still;
      const [low, high] = decades(measured);
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
      const most = Math.max(3, ...moving.residual.map(Math.abs));
      const end = this.still.unit === "σ" ? Math.min(most, 1e4) : Math.max(0.1, Math.max(...moving.residual.map(Math.abs)));
      const scale = nice(end) === this.scale ? {} : { yAxis: [{}, { min: -nice(end), max: nice(end), interval: nice(end) }] };
      this.scale = nice(end);
      this.curve.setOption({
        ...scale,
        series: [
          { id: "model", data: pairs(this.still.angle, moving.model) },
          { id: "residual", data: broken(this.still.residual_angle, moving.residual) },
        ],
      });
      const series = [{ id: "strain", data: pairs(moving.depth, moving.strain) }];
      if (damaged) series.push({ id: "E", data: pairs(moving.depth, moving.damage) });
      if (moving.points || this.pointed) series.push({ id: "points", data: moving.points ?? [] });
      this.pointed = Boolean(moving.points);
      this.profile.setOption({ series });
      if (moving.seq) requestAnimationFrame(() => setTimeout(() => this.clock(moving.seq)));
      this.curveLabel = `rocking curve, ${this.still.angle.length} points, and model: ${moving.agreement}`;
      this.profileLabel = `strain profile: largest strain ${Math.max(...moving.strain).toPrecision(3)} %`;
    },
    restyleProfile(damaged) {
      this.damaged = damaged;
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
      const [from, to] = this.range ?? [this.still.angle[0], this.still.angle[this.still.angle.length - 1]];
      this.curve.setOption({ xAxis: [{ min: from, max: to }, { min: from, max: to }] });
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

// The next of 1, 2, 5, 10, … that is not smaller.
function nice(value) {
  const unit = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].find((each) => each * unit >= value * 0.999) * unit;
}
