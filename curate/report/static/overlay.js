"use strict";
// Links phrases and boxes of one card in both directions; adds nothing to the page but classes.
(() => {
  const owners = (node) => (node.dataset.r || "").split(" ").filter(Boolean);
  const light = (card, wanted) => {
    card.classList.toggle("linking", wanted.length > 0);
    for (const node of card.querySelectorAll("[data-r]")) {
      node.classList.toggle("on", owners(node).some((owner) => wanted.includes(owner)));
    }
  };
  const over = (event) => {
    const card = event.target.closest(".card");
    if (!card) return;
    // Nested phrases: the innermost one, so that one box can be told from the box around it.
    const node = event.target.closest("[data-r]");
    light(card, node ? owners(node) : []);
  };
  const out = (event) => {
    const card = event.target.closest(".card");
    if (card && !card.contains(event.relatedTarget)) light(card, []);
  };
  document.addEventListener("pointerover", over);
  document.addEventListener("pointerout", out);
  document.addEventListener("focusin", over);
  document.addEventListener("focusout", out);

  // A link into a fold opens it; a link to a job's name shows that job.
  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    const panel = target.closest(".panel");
    const pick = panel && document.getElementById("pick-" + panel.id);
    if (pick) pick.checked = true;
    for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    target.scrollIntoView({ block: "start" });
  };
  addEventListener("hashchange", reveal);
  reveal();
})();
