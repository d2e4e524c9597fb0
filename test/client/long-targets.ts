/**
 * CPU time that requests with a target of 1 MiB take, as JSON lines `[milliseconds, what]`. A process of its own: the
 * coverage of a test run slows the worst shapes about four times, and would be measured in place of the code.
 * `node long-targets.ts <path of the endpoint>`.
 */
import { randomBytes } from 'node:crypto';
import { PlaceholderResolver } from '../../src/client/placeholder-resolver.ts';
import { handlePlaceholder, snapshot } from './placeholder-fixtures.ts';

const [path = ''] = process.argv.slice(2);
const host = 'kong.example.com';
const token = handlePlaceholder('TOKEN');
const resolver = new PlaceholderResolver();
resolver.update(
  snapshot([
    { key: 'TOKEN', value: randomBytes(16).toString('hex'), endpoints: [{ host, port: 443, path }] },
  ]),
);

function send(target: string): void {
  resolver.rewriteRequest(
    {
      method: 'POST',
      host,
      port: 443,
      tls: true,
      target,
      headers: [['authorization', `Bearer ${token}`]],
      body: undefined,
      rewriteBody: false,
    },
    1_800_000_000_000,
  );
}

const fill = (piece: string) => piece.repeat((1 << 20) / piece.length);
const pieces = ['/', 'a', '/a', '/..', '&', 'a=1&', '%41', '%25', '\\u0041', '\\', '?', '-', '//;x/'];
for (const piece of [...pieces, 'OPENSHELL-RESOLVE-ENV-', 'openshell:resolve:env:']) {
  const text = fill(piece);
  for (const target of [`/${text}`, `/?${text}`, `/${token}${text}`, `/?a=${text}&b=${token}`]) {
    send(target);
    const before = process.threadCpuUsage();
    send(target);
    const { user, system } = process.threadCpuUsage(before);
    console.log(JSON.stringify([(user + system) / 1_000, `${target.slice(0, 12)}… of ${piece}`]));
  }
}
