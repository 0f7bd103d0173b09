// Lets the keyboard reach code and tables that scroll, and gives each code sample's buttons a name of their own.
"use strict";
(function () {
  function mend() {
    document.querySelectorAll("pre > code, .md-typeset__scrollwrap").forEach(function (part) { part.tabIndex = 0; });
    document.querySelectorAll(".md-code__nav").forEach(function (buttons, number) {
      var name = "Code sample " + (number + 1);
      if (buttons.getAttribute("aria-label") !== name) buttons.setAttribute("aria-label", name);
    });
  }
  mend();
  new MutationObserver(mend).observe(document.body, { childList: true, subtree: true });
})();
