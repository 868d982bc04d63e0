// A real OAuth server (oidc-provider) with the paths and claims of Entra, and a Graph that takes its tokens and no others.
//
// node provider.mjs PORT SECRET CERTIFICATE
//
// What differs from the server's defaults is what Entra does: tokens say appid, tid, roles or scp; a user gets a refresh
// token; prompt=select_account is known. Refresh tokens are stricter here: one that is used twice revokes all.

import { createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createLocalJWKSet, exportJWK, generateKeyPair, jwtVerify } from 'jose';
import Provider from 'oidc-provider';

const [port, secret, certificate] = process.argv.slice(2);
const root = `http://127.0.0.1:${port}`;
const tenant = 'contoso.example';
const permission = 'TeamworkDevice.Read.All';
const scopes = [`${root}/.default`, `${root}/User.Read`, `${root}/${permission}`];

const app = (last, more) => ({
  client_id: `00000000-0000-4000-8000-00000000000${last}`,
  redirect_uris: [],
  response_types: [],
  ...more,
});
const clients = [
  app(1, { grant_types: ['client_credentials'], token_endpoint_auth_method: 'client_secret_post', client_secret: secret }),
  app(2, {
    grant_types: ['client_credentials'],
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: 'PS256',
    jwks: { keys: [{ ...(await exportJWK(createPublicKey(readFileSync(certificate)))), use: 'sig' }] },
  }),
  app(3, {
    grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
    token_endpoint_auth_method: 'none',
    application_type: 'native',
    redirect_uris: ['http://localhost'],
    response_types: ['code'],
  }),
];

const server = await generateKeyPair('RS256', { extractable: true });
const keys = { keys: [{ ...(await exportJWK(server.privateKey)), alg: 'RS256', use: 'sig', kid: 'server' }] };
const publicKeys = createLocalJWKSet({ keys: [{ ...(await exportJWK(server.publicKey)), alg: 'RS256', kid: 'server' }] });

const below = `/${tenant}/oauth2/v2.0`;
const provider = new Provider(root, {
  clients,
  jwks: keys,
  scopes: ['openid', 'profile', 'email', 'offline_access', ...scopes],
  routes: { token: `${below}/token`, device_authorization: `${below}/devicecode`, authorization: `${below}/authorize` },
  pkce: { required: () => true },
  rotateRefreshToken: true,
  issueRefreshToken: (context, client) => client.grantTypeAllowed('refresh_token'),
  findAccount: (context, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  extraTokenClaims: (context, token) => ({
    appid: token.clientId,
    tid: tenant,
    ...(token.accountId
      ? { scp: [...token.scopes].map((scope) => scope.replace(`${root}/`, '')).join(' ') }
      : { roles: [permission] }),
  }),
  features: {
    clientCredentials: { enabled: true },
    deviceFlow: { enabled: true },
    devInteractions: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => root,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: scopes.join(' '),
        audience: root,
        accessTokenTTL: 3599,
        accessTokenFormat: 'jwt',
      }),
    },
  },
});
provider.on('grant.error', (context, error) => console.error('grant refused:', error.message, error.error_description));
provider.on('authorization.error', (context, error) => console.error('refused:', error.message, error.error_description));
provider.on('grant.success', (context) => console.error('granted:', context.oidc.params.grant_type));

const device = {
  id: '0f3ce432-e432-0f3c-32e4-3c0f32e43c0f',
  deviceType: 'teamsRoom',
  healthStatus: 'healthy',
  activityState: 'idle',
  hardwareDetail: { manufacturer: 'Yealink', model: 'MVC', serialNumber: '1' },
  currentUser: { id: 'c4a1ef3b-0000-4000-8000-000000000001', displayName: 'Oslo', userIdentityType: 'aadUser' },
  lastModifiedDateTime: new Date().toISOString(),
};

async function graph(request, response) {
  const send = (status, body) => {
    response.writeHead(status, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify(body));
  };
  try {
    const token = (request.headers.authorization ?? '').replace(/^Bearer /, '');
    const { payload } = await jwtVerify(token, publicKeys, { issuer: root, audience: root });
    const held = [...(payload.roles ?? []), ...(payload.scp ?? '').split(' ')];
    if (!held.includes(permission)) return send(403, { error: { code: 'Forbidden' } });
  } catch (error) {
    console.error('token refused:', error.message);
    return send(401, { error: { code: 'InvalidAuthenticationToken' } });
  }
  const { pathname, search } = new URL(request.url, root);
  if (pathname === '/beta/teamwork/devices') {
    return send(200, { value: /teamsRoom/i.test(decodeURIComponent(search)) ? [device] : [] });
  }
  return send(403, { error: { code: 'Forbidden' } });
}

const oauth = provider.callback();
createServer((request, response) => {
  if (/^\/(beta|v1\.0)\//.test(request.url)) return graph(request, response);
  request.url = request.url.replace('prompt=select_account', 'prompt=login%20consent');
  return oauth(request, response);
}).listen(Number(port), '127.0.0.1', () => console.error('up'));
