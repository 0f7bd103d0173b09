// Copying, the theme, local times, and saying aloud what changed. Without scripts the page works all the same.
"use strict";
(function () {
  var root = document.documentElement;

  function reveal(part) {
    part.querySelectorAll("[data-copy], [data-theme-switch]").forEach(function (button) { button.hidden = false; });
    part.querySelectorAll("[data-for-scripts]").forEach(function (element) { element.hidden = false; });
    localise(part);
  }

  function say(words) {
    var place = document.getElementById("said");
    if (place && place.textContent !== words) place.textContent = words;
  }

  function isDark() {
    if (root.dataset.theme) return root.dataset.theme === "dark";
    return matchMedia("(prefers-color-scheme: dark)").matches;
  }

  // The clipboard of plain http is the old one: a selected field and a command.
  function copyText(text) {
    if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
    var field = document.createElement("textarea");
    field.value = text;
    field.className = "unseen";
    field.setAttribute("readonly", "");
    document.body.appendChild(field);
    field.select();
    var isDone = document.execCommand("copy");
    field.remove();
    return isDone ? Promise.resolve() : Promise.reject(new Error("refused"));
  }

  document.addEventListener("click", function (event) {
    var copy = event.target.closest("[data-copy]");
    if (copy) {
      copyText(copy.dataset.copy).then(function () { return "Copied"; }, function () { return "Not copied"; }).then(function (words) {
        copy.textContent = words;
        copy.focus();
        say(words);
        setTimeout(function () { copy.textContent = "Copy"; }, 1500);
      });
    }
    if (event.target.closest("[data-theme-switch]")) {
      root.dataset.theme = isDark() ? "light" : "dark";
      try { localStorage.setItem("theme", root.dataset.theme); } catch (error) { /* for this page only */ }
    }
  });

  // Times in the reader's zone; the title keeps UTC.
  function two(number) { return String(number).padStart(2, "0"); }

  function inZone(at) {
    return at.getFullYear() + "-" + two(at.getMonth() + 1) + "-" + two(at.getDate()) + " " +
      two(at.getHours()) + ":" + two(at.getMinutes()) + ":" + two(at.getSeconds());
  }

  var STEPS = [[60, "s", 1], [3600, "min", 60], [86400, "h", 3600], [86400 * 60, "days", 86400]];

  function ago(at) {
    var seconds = (Date.now() - at.getTime()) / 1000;
    if (seconds < 5) return "just now";
    for (var number = 0; number < STEPS.length; number += 1) {
      var step = STEPS[number];
      if (seconds < step[0]) return Math.floor(seconds / step[2]) + " " + step[1] + " ago";
    }
    return inZone(at).slice(0, 10);
  }

  function localise(part) {
    part.querySelectorAll("time[data-at], time[data-ago]").forEach(function (element) {
      var at = new Date(element.dateTime);
      if (isNaN(at)) return;
      var words = "at" in element.dataset ? inZone(at) : ago(at);
      if (element.textContent !== words) element.textContent = words;
    });
  }

  setInterval(function () { localise(document); }, 5000);

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

  // What somebody has chosen in live rows stays chosen when the rows come anew.
  var chosen = new Set();
  function remember(box) { if (box.checked) chosen.add(box.value); else chosen.delete(box.value); }
  document.addEventListener("change", function (event) {
    if (event.target.name === "import") remember(event.target);
  });
  function choose(part) {
    part.querySelectorAll("input[name=import]").forEach(function (box) { box.checked = chosen.has(box.value); });
  }

  var last = "";
  document.addEventListener("htmx:afterSwap", function (event) {
    reveal(event.target);
    choose(event.target);
    var said = event.target.querySelector("[data-say]");
    if (said && said.textContent !== last) {
      last = said.textContent;
      say(last);
    }
  });

  // A URL that was pasted is left later, which is no reason to ask its server again.
  var looked = "";
  document.addEventListener("htmx:confirm", function (event) {
    if (event.target.id !== "url-found") return;
    var url = document.getElementById("url").value.trim();
    if (url === looked) event.preventDefault();
    looked = url;
  });

  function begin() {
    reveal(document);
    var wrong = document.querySelector("[aria-invalid=true]");
    if (wrong) {
      var folded = wrong.closest("details");
      if (folded) folded.open = true;
      wrong.focus();
    }
  }

  document.addEventListener("click", function (event) {
    var all = event.target.closest("[data-all]");
    if (!all) return;
    document.querySelectorAll("input[name=" + all.dataset.all + "]").forEach(function (box) { box.checked = all.checked; remember(box); });
  });

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin); else begin();
})();
