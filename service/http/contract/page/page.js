// Shows the contract, as far as the caller may use it. The access token stays in this page's memory.
"use strict";

const CONTRACT = "/api/openapi.json";
const SCHEME = "accessToken";

let token = "";

/** Send the token along, to this service and nowhere else. Cookies stay out of it: their token may have expired. */
function withToken(request) {
  request.credentials = "omit";
  const isOurs = new URL(request.url, window.location.href).origin === window.location.origin;
  if (token && isOurs) {
    request.headers.Authorization = `Bearer ${token}`;
  }
  return request;
}

const page = window.SwaggerUIBundle({
  url: CONTRACT,
  dom_id: "#contract",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  filter: true,
  persistAuthorization: false,
  queryConfigEnabled: false,
  validatorUrl: null,
  requestInterceptor: withToken,
  onComplete: () => {
    if (token) {
      page.preauthorizeApiKey(SCHEME, token);
    }
  },
});

document.getElementById("caller").addEventListener("submit", (event) => {
  event.preventDefault();
  const hadToken = Boolean(token);
  token = document.getElementById("token").value.trim().replace(/^Bearer\s+/i, "");
  if (hadToken && !token) {
    page.authActions.logout([SCHEME]);
  }
  page.specActions.download(CONTRACT);
});
