/* A figure fills the window on a click, or on Enter or Space when it has the focus; a click or Escape puts it back. */
document.addEventListener("DOMContentLoaded", () => {
  const dialog = document.createElement("dialog");
  dialog.className = "enlarged";
  dialog.setAttribute("aria-label", "Figure, enlarged");
  dialog.addEventListener("click", () => dialog.close());
  dialog.addEventListener("keydown", (event) => event.key === "Escape" && dialog.close());  /* at once, in every browser */
  document.body.append(dialog);
  for (const figure of document.querySelectorAll(".cell_output img, .bd-article figure img")) {
    const enlarge = () => {
      const copy = figure.cloneNode();
      copy.removeAttribute("tabindex");
      copy.removeAttribute("role");
      dialog.replaceChildren(copy);
      dialog.showModal();
    };
    figure.classList.add("enlarges");
    figure.tabIndex = 0;
    figure.setAttribute("role", "button");
    figure.addEventListener("click", enlarge);
    figure.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();  /* Space would scroll */
      enlarge();
    });
  }
});
