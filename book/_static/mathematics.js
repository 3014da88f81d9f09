/* Runs after MathJax: a formula too wide for the screen scrolls, so it must be reached by key. */
MathJax.startup.promise.then(() => {
  const reach = () => {
    for (const formula of document.querySelectorAll("mjx-container[display]")) {
      if (formula.scrollWidth > formula.clientWidth) formula.tabIndex = 0;
      else formula.removeAttribute("tabindex");
    }
  };
  reach();
  addEventListener("resize", reach);
});
