// Keys of the page: letters start what buttons do, unless somebody types, or a dialog or a menu is open.
export default {
  template: `<span></span>`,
  mounted() {
    this.handler = (event) => {
      const at = document.activeElement;
      const typing = at && (at.isContentEditable || ["TEXTAREA", "SELECT"].includes(at.tagName)
        || (at.tagName === "INPUT" && !["range", "checkbox", "radio", "button"].includes(at.type)));
      if (typing || event.repeat || document.querySelector(".q-dialog, .q-menu")) return;
      const control = event.ctrlKey || event.metaKey;
      const key = event.key.toLowerCase();
      const name = control ? { z: event.shiftKey ? "redo" : "undo", y: "redo", s: "save", o: "open" }[key]
        : event.altKey ? undefined : { f: "fit", r: "refine", p: "predict", escape: "cancel" }[key];
      if (!name) return;
      event.preventDefault();
      this.$emit("key", { name });
    };
    window.addEventListener("keydown", this.handler);
  },
  unmounted() {
    window.removeEventListener("keydown", this.handler);
  },
};
