/* Loaded with MathJax: a formula too wide for the screen scrolls, and so can be reached by key. */
{
  const reach = () => {
    for (const formula of document.querySelectorAll("mjx-container[display]")) {
      formula.tabIndex = formula.scrollWidth > formula.clientWidth ? 0 : -1;
    }
  };
  MathJax.startup = {
    pageReady: () => MathJax.startup.defaultPageReady().then(() => {
      reach();
      addEventListener("resize", reach);
    }),
  };
}
