// Signing in: a token is typed in once, and never kept where a script can read it.

import { bdi, h } from "./dom.js";
import { lang, LANGUAGES, setLang, t } from "./i18n.js";

/** Show the form in place of everything. `why`: what to say first. */
export function signIn(app, why) {
  const wrong = h("p", { class: "wrong", role: "alert", hidden: !why }, why);
  const token = h("input", { id: "token", type: "password", autocomplete: "current-password", required: true, spellcheck: "false" });
  const submit = h("button", { class: "main", type: "submit" }, t("sign_in"));
  const other = Object.keys(LANGUAGES).find((code) => code !== lang());
  const language = h("button", { class: "plain", type: "button" }, LANGUAGES[other]);
  const form = h("form", { id: "sign-in", "aria-label": t("sign_in") },
    h("div", { class: "brand" }, h("img", { src: "/icon.svg", alt: "" }), h("h1", {}, t("brand"))),
    wrong,
    h("label", { for: "token" }, t("token"), token, h("span", { class: "quiet" }, t("token_how"))),
    h("div", { class: "row" }, language, submit));
  language.addEventListener("click", () => {
    setLang(other);
    signIn(app, "");
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    submit.disabled = true;
    try {
      await app.session.signIn(token.value.trim());
      app.signedIn();
    } catch (error) {
      wrong.hidden = false;
      wrong.replaceChildren(error.status === 401 ? t("sign_in_wrong") : error.status === 0 ? t("no_answer") : bdi(error.message));
      submit.disabled = false;
      token.select();
    }
  });
  document.title = t("sign_in");
  app.shell.replaceChildren(h("main", { id: "page" }, form));
  app.shell.querySelector("#page").style.display = "flex";
  token.focus();
}
