// Copying, the theme, and saying aloud what changed. Without scripts the page works all the same.
"use strict";
(function () {
  var root = document.documentElement;

  function reveal(part) {
    part.querySelectorAll("[data-copy], [data-theme-switch]").forEach(function (button) { button.hidden = false; });
  }

  function say(words) {
    var place = document.getElementById("said");
    if (place && place.textContent !== words) place.textContent = words;
  }

  function isDark() {
    if (root.dataset.theme) return root.dataset.theme === "dark";
    return matchMedia("(prefers-color-scheme: dark)").matches;
  }

  document.addEventListener("click", function (event) {
    var copy = event.target.closest("[data-copy]");
    if (copy && navigator.clipboard) {
      navigator.clipboard.writeText(copy.dataset.copy).then(function () {
        copy.textContent = "Copied";
        say("Copied");
        setTimeout(function () { copy.textContent = "Copy"; }, 1500);
      });
    }
    if (event.target.closest("[data-theme-switch]")) {
      root.dataset.theme = isDark() ? "light" : "dark";
      try { localStorage.setItem("theme", root.dataset.theme); } catch (error) { /* for this page only */ }
    }
  });

  // What somebody is pressing this moment is not replaced under their finger; what ends an import always is.
  var isPressed = false;
  document.addEventListener("pointerdown", function () { isPressed = true; }, true);
  ["pointerup", "pointercancel"].forEach(function (name) {
    document.addEventListener(name, function () { setTimeout(function () { isPressed = false; }, 0); }, true);
  });
  document.addEventListener("htmx:sseBeforeMessage", function (event) {
    var kind = event.detail.type;
    if (isPressed && (kind === "rows" || kind === "progress")) event.preventDefault();
  });

  var last = "";
  document.addEventListener("htmx:afterSwap", function (event) {
    reveal(event.target);
    var said = event.target.querySelector("[data-say]");
    if (said && said.textContent !== last) {
      last = said.textContent;
      say(last);
    }
  });

  document.addEventListener("DOMContentLoaded", function () { reveal(document); });
  if (document.readyState !== "loading") reveal(document);
})();
