// Draws the API document with Redoc in the colours of the page, and mends what keeps people out of its markup.
"use strict";
(function () {
  var place = document.getElementById("redoc");
  var chosen = document.documentElement.dataset.theme;
  var isDark = chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  var ink = isDark
    ? { text: "#e7ecf3", muted: "#a0adbd", card: "#161d27", sunk: "#0f151d", rule: "#2a3543", accent: "#8db2ff", good: "#6fd8a5", bad: "#ff9a90", warn: "#f2c766" }
    : { text: "#17202c", muted: "#566273", card: "#ffffff", sunk: "#eef1f5", rule: "#dce2ea", accent: "#2457d6", good: "#0f6b43", bad: "#ad2118", warn: "#7c5200" };

  function mend() {
    // Redoc leaves levels of headings out: those under an operation (h2) are h5.
    place.querySelectorAll("h5").forEach(function (heading) {
      heading.setAttribute("role", "heading");
      heading.setAttribute("aria-level", "3");
    });
    place.querySelectorAll("pre").forEach(function (sample) { sample.tabIndex = 0; });
  }

  Redoc.init(place.dataset.document, {
    disableSearch: true,
    hideDownloadButton: true,
    hideHostname: true,
    nativeScrollbars: true,
    expandResponses: "",
    jsonSamplesExpandLevel: 4,
    sortRequiredPropsFirst: true,
    theme: {
      colors: {
        primary: { main: ink.accent }, success: { main: ink.good }, error: { main: ink.bad }, warning: { main: ink.warn },
        text: { primary: ink.text, secondary: ink.muted }, border: { dark: ink.rule, light: ink.rule },
        responses: {
          success: { color: ink.good, backgroundColor: ink.sunk }, error: { color: ink.bad, backgroundColor: ink.sunk },
          redirect: { color: ink.warn, backgroundColor: ink.sunk }, info: { color: ink.accent, backgroundColor: ink.sunk },
        },
      },
      schema: { linesColor: ink.rule, nestedBackground: ink.sunk, typeNameColor: ink.muted, typeTitleColor: ink.muted, requireLabelColor: ink.bad },
      typography: { fontFamily: "inherit", headings: { fontFamily: "inherit" }, code: { color: ink.text, backgroundColor: ink.sunk }, links: { color: ink.accent, visited: ink.accent, hover: ink.accent } },
      sidebar: { backgroundColor: ink.card, textColor: ink.text, activeTextColor: ink.accent },
      rightPanel: { backgroundColor: "#17202c" },
      codeBlock: { backgroundColor: "#0e131a" },
    },
  }, place, function () {
    mend();
    new MutationObserver(mend).observe(place, { childList: true, subtree: true });
    place.dataset.drawn = "yes";
  });

  new MutationObserver(function () { location.reload(); })
    .observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
})();
