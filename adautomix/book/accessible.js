/* What the theme, pandas and Sphinx leave out for who uses the keyboard or a screen reader. Checked by tests/book. */
document.addEventListener("DOMContentLoaded", () => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  /* A name that replaces what is written on a control keeps who speaks to it from finding it. */
  all("summary[aria-label], .search-button__button").forEach((control) => {
    const written = control.textContent.trim().replace(/\s+/g, " ");
    if (written && control.tagName === "SUMMARY") control.removeAttribute("aria-label");
    else if (written) control.setAttribute("aria-label", written);  /* on a telephone the icon alone is left of it */
  });
  all("nav summary").forEach((summary) => {
    const page = summary.closest("li")?.querySelector("a")?.textContent.trim();
    summary.setAttribute("aria-label", `Pages below: ${page}`);
  });
  const home = document.querySelector(".sidebar-primary-item .navbar-brand")?.closest(".sidebar-primary-item");
  home?.setAttribute("role", "navigation");
  home?.setAttribute("aria-label", "Front page");
  /* An empty corner of a table is no heading. */
  all("th").filter((cell) => !cell.textContent.trim()).forEach((cell) => {
    const corner = document.createElement("td");
    corner.className = cell.className;
    corner.colSpan = cell.colSpan;
    corner.rowSpan = cell.rowSpan;
    cell.replaceWith(corner);
  });
  /* What scrolls by itself can be reached by Tab, and then be scrolled with the arrow keys; CSS shows that there is more. */
  const scrolling = () => all(".bd-article pre, .cell_output, .results, .bd-article .pst-scrollable-table-container, .bd-article mjx-container").forEach((box) => {
    const scrolls = box.scrollWidth > box.clientWidth + 1;
    box.classList.toggle("scrolls", scrolls);
    if (scrolls) box.tabIndex = 0;
  });
  scrolling();
  addEventListener("load", scrolling);
  addEventListener("resize", scrolling);
});
