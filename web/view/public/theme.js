// Before the first paint, so that a dark page does not flash.
{
  let chosen = null;
  try { chosen = localStorage.getItem("vesalius-theme"); } catch { /* no storage */ }
  document.documentElement.dataset.theme =
    chosen ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
}
