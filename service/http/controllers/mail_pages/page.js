// Sends the token of the link to the service, when the visitor says so.
"use strict";

const form = document.querySelector("form");
const outcome = document.querySelector("#outcome");
const token = new URLSearchParams(window.location.hash.slice(1)).get("token");

// The token stays neither in the address bar nor in the history.
window.history.replaceState(null, "", window.location.pathname);

/** Say what an answer means: what is at fault first, then what to do. */
async function explained(answer) {
  const problem = await answer.json().catch(() => ({}));
  const fault = problem.errors ? problem.errors[0] : problem;
  return [fault.detail || problem.title || "That did not work; try again later.", fault.hint].filter(Boolean).join(" ");
}

async function send(event) {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    const answer = await fetch(new URL(form.dataset.path, window.location.href), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      credentials: "omit",
      body: JSON.stringify({ token, ...Object.fromEntries(new FormData(form)) }),
    });
    form.hidden = answer.ok;
    outcome.textContent = answer.ok ? form.dataset.done : await explained(answer);
  } catch {
    outcome.textContent = "The service cannot be reached; try again later.";
  } finally {
    button.disabled = false;
  }
}

if (token) {
  form.addEventListener("submit", send);
} else {
  form.hidden = true;
  outcome.textContent = "This link is not complete. Open it from the mail once more.";
}
