/**
 * Ten thousand requests through the real Envoy: what reaches a server is what the client library makes of the request,
 * byte for byte, or nothing.
 */
import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  connect,
  type OutgoingRequest,
  PlaceholderResolver,
  type Rewriting,
} from '../../src/client/index.ts';
import { hasMarker } from '../../src/client/placeholder-marker.ts';
import { describeWithEnvoy } from '../interop/envoy-program.ts';
import { until } from '../support/cli.ts';
import { newSecret } from '../support/secrets.ts';
import { EgressWorld, HOST } from './world.ts';

const REQUESTS = 10_000;
const PARALLEL = 16;
const KEYS = ['HOST_TOKEN', 'PATH_TOKEN', 'OTHER_TOKEN', 'MISSING_TOKEN'];
/** A host of its own for each credential, and one for none. */
const HOSTS = [HOST, 'paths.localhost', 'other.localhost', 'none.wild.localhost'];

const NAMES = ['x-a', 'x-b', 'authorization'];

const encoded = (text: string) =>
  [...text].map((char) => `%${char.charCodeAt(0).toString(16).padStart(2, '0')}`).join('');

/** A placeholder, or what looks like one; most often the one that may be sent there. */
const tokenOf = (own: string) =>
  fc
    .tuple(
      fc.oneof({ arbitrary: fc.constant(own), weight: 6 }, fc.constantFrom(...KEYS)),
      fc.oneof(
        { arbitrary: fc.constantFrom('canonical', 'alias'), weight: 8 },
        fc.constantFrom('encoded', 'twice', 'cut', 'upper', 'long'),
      ),
    )
    .map(([key, form]) => {
      const name = `openshell:resolve:env:${key}`;
      switch (form) {
        case 'alias':
          return `glpat-OPENSHELL-RESOLVE-ENV-${key}`;
        case 'encoded':
          return encoded(name);
        case 'twice':
          return name.replaceAll(':', '%253a');
        case 'cut':
          return name.slice(0, -3);
        case 'upper':
          return name.toUpperCase();
        case 'long':
          return `${name}X`;
        default:
          return name;
      }
    });
const plain = fc.string({ unit: fc.constantFrom(..."abzAZ019-._~!$&'()*+,;=:@%2F%2e"), maxLength: 12 });

const generated = fc.constantFrom(...HOSTS.keys()).chain((at) => {
  const token = tokenOf(KEYS[at] ?? '');
  const piece = fc.oneof({ arbitrary: plain, weight: 3 }, token);
  const path = fc
    .tuple(
      fc.oneof({ arbitrary: fc.constant('/api'), weight: 4 }, fc.constantFrom('', '/api/..')),
      fc.array(piece, { maxLength: 2 }),
    )
    .map(([start, pieces]) => `${start}/${pieces.join('/')}`);
  const query = fc.array(
    fc.tuple(plain, piece).map((pair) => pair.join('=')),
    { maxLength: 2 },
  );
  const value = fc.oneof(
    plain.filter((text) => text !== ''),
    token,
    token.map((text) => `Bearer ${text}`),
    token.map((text) => `Basic ${Buffer.from(`user:${text}`).toString('base64')}`),
    fc.tuple(plain, token).map((parts) => parts.join('')),
  );
  return fc.record({
    host: fc.constant(HOSTS[at] ?? ''),
    target: fc
      .tuple(path, query)
      .map(([start, rest]) => (rest.length === 0 ? start : `${start}?${rest.join('&')}`)),
    headers: fc.array(fc.tuple(fc.constantFrom(...NAMES), value), { maxLength: 2 }),
  });
});
const pairs = (raw: readonly string[]) =>
  raw.flatMap((name, at) => (at % 2 === 0 ? [[name, raw[at + 1] ?? '']] : []));
type Generated = typeof generated extends fc.Arbitrary<infer T> ? T : never;

describeWithEnvoy('generated requests', () => {
  it('reach a server as the client library rewrites them, or not at all', { timeout: 180_000 }, async () => {
    await using world = await EgressWorld.start({});
    const port = world.tlsPort;
    const values: Record<string, string> = {};
    KEYS.slice(0, 3).forEach((key, at) => {
      const value = newSecret();
      const name = key.toLowerCase().replace('_', '-');
      values[key] = value;
      world.workspace.secret(name).write({ [key]: value });
      const endpoint = { host: HOSTS[at], port, ...(key === 'PATH_TOKEN' && { path: '/api/**' }) };
      world.writeProvider([endpoint], name, name);
    });
    world.writeProvider([{ host: '*.wild.localhost', port }]);
    using client = connect({ socket: world.workspace.socket });
    await until(async () => (await client.getProviderEnvironment()).credentials.size === 3);
    const oracle = new PlaceholderResolver({ acceptCanonical: true });
    oracle.update(await client.getProviderEnvironment());
    const agent = new Agent({
      keepAlive: true,
      maxSockets: PARALLEL,
      ca: readFileSync(world.caFile),
      proxyEnv: { HTTPS_PROXY: `http://127.0.0.1:${world.proxyPort}` },
    });
    const ask = ({ host, target: path, headers }: Generated): Promise<number> =>
      new Promise((resolve, reject) => {
        const named: Record<string, string[]> = {};
        for (const [name, value] of headers) named[name] = [...(named[name] ?? []), value];
        const done = (response: IncomingMessage) =>
          response.resume().on('end', () => resolve(response.statusCode ?? 0));
        request({ agent, host, port, path, headers: named }, done).on('error', reject).end();
      });
    const used = async (at: number) =>
      (await ask({
        host: HOSTS[at] ?? '',
        target: '/api/x',
        headers: [['x-a', `openshell:resolve:env:${KEYS[at]}`]],
      })) === 200;
    await until(async () => (await used(0)) && (await used(1)) && (await used(2)));
    world.seen.length = 0;

    const counts = { sent: 0, withValue: 0, refused: 0 };
    const check = async (each: Generated, at: number) => {
      // Node sends the values of one name together, and Envoy joins those of Authorization.
      const headers: [string, string][] = NAMES.flatMap((name) => {
        const values = each.headers.filter(([other]) => other === name);
        const joined = values.map(([, value]) => value).join(',');
        return name === 'authorization' && joined !== '' ? [[name, joined]] : values;
      });
      headers.push(['x-number', String(at)]);
      const expected: Rewriting<OutgoingRequest> = oracle.rewriteRequest(
        {
          ...{ host: each.host, port, tls: true, method: 'GET', target: each.target },
          ...{ headers, body: undefined, rewriteBody: false },
        },
        Date.now(),
      );
      const inOrder = each.headers.toSorted(([a], [b]) => NAMES.indexOf(a) - NAMES.indexOf(b));
      const status = await ask({ ...each, headers: [...inOrder, ['x-number', String(at)]] });
      const index = world.seen.findIndex((one) => one.headers['x-number'] === String(at));
      const [seen] = index < 0 ? [] : world.seen.splice(index, 1);
      if (expected.kind === 'refused') {
        counts.refused += 1;
        const said = `${JSON.stringify({ expected, each }, null, 1)}`;
        expect({ status, seen }, said).toEqual({
          status: expected.reason === 'credential_unavailable' ? 500 : 403,
          seen: undefined,
        });
        return;
      }
      counts.sent += 1;
      if (expected.keys.length > 0) counts.withValue += 1;
      const { target, headers: wanted } = expected.value;
      const sent = (from: readonly (readonly string[])[]) =>
        NAMES.map((name) =>
          from.filter(([other]) => other?.toLowerCase() === name).map(([, value]) => value),
        );
      expect({ url: seen?.url, headers: sent(pairs(seen?.rawHeaders ?? [])) }).toEqual({
        url: target,
        headers: sent(wanted),
      });
      // By itself, not by the oracle: each value only where it is bound, and no marker where it is replaced.
      const text = `${seen?.url} ${seen?.rawHeaders.join(' ')}`;
      for (const [key, value] of Object.entries(values)) {
        const bound = HOSTS[KEYS.indexOf(key)];
        if (each.host !== bound) expect(text.includes(value)).toBe(false);
      }
      expect(hasMarker(text)).toBe(false);
    };

    const requests = fc.sample(generated, REQUESTS);
    let next = 0;
    await Promise.all(
      Array.from({ length: PARALLEL }, async () => {
        for (let at = next++; at < requests.length; at = next++) await check(requests[at] as Generated, at);
      }),
    );
    agent.destroy();
    console.log('generated requests', counts);
    expect(Math.min(counts.withValue, counts.refused, counts.sent - counts.withValue)).toBeGreaterThan(500);
  });
});
