// The table of unknowns: a slider, a number, limits, fit or fix, prior, and what the last fit says, a row each.
const STEPS = 2000;

export default {
  template: `
  <div class="xrd-tables">
    <table v-for="group in groups" :key="group.key" class="xrd-table" :aria-label="group.title">
      <caption>{{ group.title }}</caption>
      <thead><tr>
        <th scope="col">name</th><th scope="col" class="wide" title="drag with Shift: ten times finer">slider</th><th scope="col">value</th><th scope="col"></th>
        <th scope="col" class="limits">limits</th><th scope="col" title="fitted, or held at its value">fit</th>
        <th scope="col" class="prior" title="normal prior: mean ± standard deviation">prior</th>
        <th scope="col" class="interval">90 % interval</th>
      </tr></thead>
      <tbody>
        <tr v-for="row in group.rows" :key="row.name" :data-name="row.name" :class="{ held: !row.fit }">
          <th scope="row" :title="row.doc">{{ row.label }}</th>
          <td class="wide"><input type="range" min="0" :max="steps" step="1" :value="place(row)"
            :aria-label="row.label" :aria-valuetext="text(row.value, row) + ' ' + row.unit"
            @pointerdown="held = true" @input="drag(row, $event)" @change="settle(row)"></td>
          <td><input class="number" type="text" inputmode="decimal" v-bind="field(row, 'value')"
            :aria-label="row.label + ', value'" @keydown="nudge(row, $event)"></td>
          <td class="unit">{{ row.unit }}</td>
          <td class="limits"><input class="number" type="text" inputmode="decimal" v-bind="field(row, 'low')"
            :aria-label="row.label + ', lower limit'">
            <span aria-hidden="true">…</span>
            <input type="text" inputmode="decimal" v-bind="field(row, 'high')" class="number high"
            :aria-label="row.label + ', upper limit'"></td>
          <td class="check"><input type="checkbox" :checked="row.fit" :aria-label="'fit ' + row.label"
            @change="$emit('edit', { name: row.name, what: 'fit', value: $event.target.checked })"></td>
          <td class="prior"><input v-if="row.has_prior" type="text" v-bind="field(row, 'prior')" placeholder="none"
            :aria-label="row.label + ', prior: mean ± standard deviation'"></td>
          <td class="interval" :class="{ stale }" :title="row.remark">
            <span>{{ row.interval }}</span><span v-if="row.remark.startsWith('at its limit')" class="mark"> limit</span><span
            v-if="!row.determined" class="mark" title="not determined"> ?</span></td>
        </tr>
      </tbody>
    </table>
  </div>`,
  data: () => ({ rows: [], stale: false, steps: STEPS, waiting: false, next: null, seq: 0, shift: false, held: false, anchor: null, writing: null }),
  computed: {
    groups() {
      const titles = { profile: "Profile", measurement: "Instrument, scale and background" };
      return Object.keys(titles)
        .map((key) => ({ key, title: titles[key], rows: this.rows.filter((row) => row.group === key) }))
        .filter((group) => group.rows.length);
    },
  },
  mounted() {
    window.xrd ??= { latency: [], sent: {} };
    window.xrd.table = this;
    this.listener = (event) => { this.shift = event.shiftKey; };
    for (const kind of ["keydown", "keyup", "pointermove"]) window.addEventListener(kind, this.listener, true);
    this.$emit("ready");
  },
  unmounted() {
    for (const kind of ["keydown", "keyup", "pointermove"]) window.removeEventListener(kind, this.listener, true);
  },
  methods: {
    show(rows, stale) {
      this.rows = rows;
      this.stale = stale;
    },
    moved(values, seq) {
      for (const row of this.rows) if (row.name in values) row.value = values[row.name];
      if (seq) {
        this.waiting = false;
        if (this.next) this.send(...this.next);
      }
    },
    part(row) {
      const { low, high, value } = row;
      if (!(high > low)) return 0;
      const part = row.log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
      return Math.min(Math.max(part, 0), 1);
    },
    place(row) {
      return Math.round(STEPS * this.part(row));
    },
    text(value, row, digits = 5) {
      if (value === null || value === undefined) return "";
      const shown = value * row.factor;
      return Math.abs(shown) >= 10 ** (digits + 1) || (shown !== 0 && Math.abs(shown) < 1e-3)
        ? shown.toExponential(2).replace("e+", "e")
        : String(Number(shown.toPrecision(digits)));
    },
    at(row, part) {
      return row.log ? row.low * (row.high / row.low) ** part : row.low + part * (row.high - row.low);
    },
    // With Shift, the value follows the mouse at a tenth of its pace from where it was when Shift was pressed.
    drag(row, event) {
      const part = Number(event.target.value) / STEPS;
      if (!(this.shift && this.held)) this.anchor = null;
      else this.anchor ??= [part, this.part(row)];
      const value = this.at(row, this.anchor ? this.anchor[1] + 0.1 * (part - this.anchor[0]) : part);
      row.value = Math.min(Math.max(value, row.low), row.high);
      this.request(row.name, row.value);
    },
    // One message is on its way at a time; what is dragged meanwhile is sent when its answer is there.
    request(name, value) {
      const now = performance.now();
      if (this.waiting && now - this.since < 2000) this.next = [name, value, now];
      else this.send(name, value, now);
    },
    send(name, value, since) {
      this.next = null;
      this.waiting = true;
      this.since = performance.now();
      this.seq += 1;
      window.xrd.sent[this.seq] = since;
      this.$emit("drag", { name, value, seq: this.seq });
    },
    settle(row) {
      this.held = false;
      if (this.next) this.send(...this.next);
      this.$emit("settle", {});
    },
    // What a field holds: what is being typed there, whatever else changes meanwhile, or what the server knows.
    written(row, what) {
      const { name, field, text } = this.writing ?? {};
      if (name === row.name && field === what) return text;
      return what === "prior" ? row.prior : this.text(row[what], row, what === "value" ? 5 : 4);
    },
    // A field to type in, and what happens there.
    field(row, what) {
      return {
        value: this.written(row, what),
        onInput: (event) => { this.writing = { name: row.name, field: what, text: event.target.value }; },
        onBlur: () => { this.writing = null; },
        onChange: (event) => this.typed(row, what, event),
      };
    },
    typed(row, what, event) {
      this.$emit("edit", { name: row.name, what, value: event.target.value, factor: row.factor });
      this.writing = null;
      event.target.value = this.written(row, what); // until the server agrees
    },
    nudge(row, event) {
      const by = { ArrowUp: 1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[event.key];
      if (!by) return;
      event.preventDefault();
      const part = (this.place(row) + by * (STEPS / 1000)) / STEPS;
      const value = this.at(row, part);
      this.$emit("edit", { name: row.name, what: "value", value: value * row.factor, factor: row.factor });
    },
  },
};
