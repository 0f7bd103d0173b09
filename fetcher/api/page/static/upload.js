// Sends a file with its progress; a cancelled or refused one leaves nothing behind on the server.
"use strict";
(function () {
  var UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];
  var sending = null;

  function part(id) { return document.getElementById(id); }

  function words(size) {
    var unit = 0;
    while (size >= 1024 && unit < UNITS.length - 1) { size /= 1024; unit += 1; }
    return (unit === 0 || size >= 100 ? Math.round(size) : size.toFixed(1)) + " " + UNITS[unit];
  }

  function isSending(yes) {
    part("upload-start").disabled = yes;
    part("upload-cancel").hidden = !yes;
    part("upload-progress").hidden = !yes;
  }

  function stop(message) {
    sending = null;
    isSending(false);
    var place = part("upload-wrong");
    place.textContent = message;
    place.hidden = !message;
  }

  function answered(request) {
    var answer = {};
    try { answer = JSON.parse(request.responseText); } catch (error) { /* a proxy's page */ }
    if (request.status === 201 && answer.image) { location.assign(answer.image); return; }
    stop(answer.title ? answer.title + " " + (answer.advice || "") : "The upload failed (status " + request.status + ").");
  }

  function send(form, file) {
    var query = new URLSearchParams({ name: part("name").value.trim() || file.name });
    ["disk_format", "container_format", "visibility"].forEach(function (name) {
      if (part(name).value) query.set(name, part(name).value);
    });
    var request = sending = new XMLHttpRequest();
    var begun = Date.now();
    request.upload.onprogress = function (event) {
      part("upload-bar").max = event.total || 1;
      part("upload-bar").value = event.loaded;
      var rate = event.loaded / Math.max(0.1, (Date.now() - begun) / 1000);
      part("upload-words").textContent = event.loaded < event.total
        ? words(event.loaded) + " of " + words(event.total) + ", " + words(rate) + "/s"
        : "Sent. The server is checking the image.";
    };
    request.onload = function () { answered(request); };
    request.onerror = function () { stop("The connection was lost before the upload ended. Try again."); };
    request.onabort = function () { stop("The upload was cancelled. Nothing was stored."); };
    request.open("PUT", document.documentElement.dataset.root + "page/upload?" + query);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.setRequestHeader("X-Form-Proof", form.elements.proof.value);
    request.send(file);
  }

  document.addEventListener("submit", function (event) {
    if (event.target.id !== "upload") return;
    event.preventDefault();
    var file = part("file").files[0];
    if (!file || sending) return;
    stop("");
    isSending(true);
    send(event.target, file);
  });

  document.addEventListener("click", function (event) {
    if (event.target.id === "upload-cancel" && sending) sending.abort();
  });

  addEventListener("beforeunload", function (event) { if (sending && sending.readyState < 4) event.preventDefault(); });
})();
