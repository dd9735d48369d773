// How well curve and model agree, and by how much a change made that better or worse.
export default {
  template: `<span class="xrd-chi" role="status"><span>{{ agreement }}</span> <span :class="kind">{{ change }}</span></span>`,
  data: () => ({ agreement: "", change: "", kind: "" }),
  methods: {
    show(agreement, change, kind) {
      this.agreement = agreement;
      this.change = change;
      this.kind = kind;
    },
  },
};
