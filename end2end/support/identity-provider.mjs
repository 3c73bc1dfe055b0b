// A certified OpenID provider on loopback, for the test that signs in through it. It takes any login; a login named
// `outsider` is in no group. Usage: identity-provider.mjs CONSOLE_URL. Prints its issuer.

import { createServer } from "node:http";
import { once } from "node:events";
import Provider from "oidc-provider";

const [console_url] = process.argv.slice(2);
const server = createServer();
server.listen(0, "127.0.0.1");
await once(server, "listening");
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "raxx-console",
      token_endpoint_auth_method: "none",
      redirect_uris: [`${console_url}/sign-in/oidc/callback`],
      application_type: "native",
    },
  ],
  cookies: { keys: ["only for this test"] },
  claims: { openid: ["sub"], profile: ["preferred_username", "groups"] },
  findAccount: (_, login) => ({
    accountId: login,
    claims: () => ({ sub: login, preferred_username: login, groups: login === "outsider" ? [] : ["developers"] }),
  }),
});
server.on("request", provider.callback());
console.log(`issuer ${issuer}`);
