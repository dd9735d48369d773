// Files and folders that are dropped anywhere on the page, or chosen: sent one by one, then told to the server.
export default {
  template: `
  <div>
    <input ref="files" type="file" multiple class="xrd-hidden" tabindex="-1" aria-hidden="true" @change="chosen($event, false)">
    <input ref="folder" type="file" webkitdirectory class="xrd-hidden" tabindex="-1" aria-hidden="true" @change="chosen($event, true)">
    <div v-if="over" class="xrd-drop" aria-hidden="true">
      <div>Drop measured curves, a CIF file, a session, or a folder for a series</div>
    </div>
  </div>`,
  data: () => ({ over: false }),
  mounted() {
    this.depth = 0;
    this.on = {
      dragenter: (event) => {
        if (!this.holdsFiles(event)) return;
        this.depth += 1;
        this.over = true;
      },
      dragleave: () => {
        this.depth = Math.max(0, this.depth - 1);
        if (this.depth === 0) this.over = false;
      },
      dragover: (event) => event.preventDefault(),
      drop: (event) => this.dropped(event),
    };
    for (const [name, handler] of Object.entries(this.on)) window.addEventListener(name, handler);
    window.xrd ??= { latency: [], sent: {} };
    window.xrd.drop = this;
  },
  unmounted() {
    for (const [name, handler] of Object.entries(this.on)) window.removeEventListener(name, handler);
  },
  methods: {
    holdsFiles(event) {
      return [...(event.dataTransfer?.types ?? [])].includes("Files");
    },
    async dropped(event) {
      event.preventDefault();
      this.depth = 0;
      this.over = false;
      const entries = [...(event.dataTransfer?.items ?? [])].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
      const folder = entries.some((entry) => entry.isDirectory);
      const files = entries.length ? (await Promise.all(entries.map(within))).flat() : [...(event.dataTransfer?.files ?? [])];
      await this.send(files, folder);
    },
    async chosen(event, folder) {
      const files = [...event.target.files];
      event.target.value = "";
      await this.send(files, folder);
    },
    choose(folder) {
      (folder ? this.$refs.folder : this.$refs.files).click();
    },
    async send(files, folder) {
      if (!files.length) return;
      const keys = [], failed = [];
      for (const file of files.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }))) {
        try {
          const headers = { "X-Name": encodeURIComponent(file.name), "Content-Type": "application/octet-stream" };
          const answer = await fetch("/upload", { method: "POST", body: file, headers });
          const told = await answer.json().catch(() => ({ error: `${file.name} was refused` }));
          if (answer.ok) keys.push(told.key);
          else failed.push(told.error);
        } catch (error) {
          failed.push(`${file.name} could not be sent`);
        }
      }
      this.$emit("uploaded", { keys, failed, folder });
    },
  },
};

async function within(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break;
    for (const one of some) if (one.isFile && !one.name.startsWith(".")) found.push(...(await within(one)));
  }
  return found;
}
