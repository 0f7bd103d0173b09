// Tells when the server does not answer, so that nobody takes old numbers for new ones.
"use strict";
(function () {
  var EVERY_MS = 2000, PATIENCE_MS = 3000;
  var isLost = false, isLeaving = false;

  function banner(words) {
    var place = document.getElementById("lost");
    if (!place) return;
    place.textContent = words;
    place.hidden = !words;
  }

  function isTouched() {
    return Array.prototype.some.call(document.querySelectorAll("input, textarea"), function (field) {
      if (field.type === "hidden" || field.type === "checkbox") return field.checked !== field.defaultChecked;
      return field.value !== field.defaultValue || (field.type === "file" && field.files.length > 0);
    });
  }

  function lose() {
    if (isLost || isLeaving) return;
    isLost = true;
    document.documentElement.dataset.lost = "";
    banner("Connection lost, trying again.");
  }

  function find() {
    if (!isLost) return;
    isLost = false;
    // A live page begins anew; what somebody has typed is left alone, and its form still works.
    if (document.querySelector("[sse-connect]") && !isTouched()) { location.reload(); return; }
    delete document.documentElement.dataset.lost;
    banner("");
  }

  function look() {
    var patience = new AbortController();
    var timer = setTimeout(function () { patience.abort(); }, PATIENCE_MS);
    return fetch(document.documentElement.dataset.root + "healthz", { cache: "no-store", signal: patience.signal })
      .then(function (answer) { if (answer.status < 500) find(); else lose(); }, lose)
      .finally(function () { clearTimeout(timer); setTimeout(again, EVERY_MS); });
  }

  function again() {
    if (!document.hidden) { look(); return; }
    document.addEventListener("visibilitychange", again, { once: true });
  }

  addEventListener("pagehide", function () { isLeaving = true; });
  addEventListener("pageshow", function () { isLeaving = false; });
  setTimeout(again, EVERY_MS);
})();
