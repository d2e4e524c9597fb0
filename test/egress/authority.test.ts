/** Certificates of our own making, judged by those who did not make them. */
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { LIFETIME_MS, ThrowAwayAuthority } from '../../src/egress/authority.ts';

/** The other opinion, where the machine has it. */
const OPENSSL = 'openssl';

const now = Date.now();
const authority = await ThrowAwayAuthority.create('test authority', now);

describe('a throw-away authority', () => {
  const root = new X509Certificate(authority.certificate);

  it('signs itself as an authority', () => {
    expect(root.ca).toBe(true);
    expect(root.subject).toBe('CN=test authority');
    expect(root.verify(root.publicKey)).toBe(true);
    expect(root.checkIssued(root)).toBe(true);
  });

  it.each(['gitlab.example.com', 'a-b.c_d.example.com', '127.0.0.1'])('issues for %s', async (host) => {
    const leaf = new X509Certificate((await authority.issue(host)).certificate);
    expect(leaf.ca).toBe(false);
    expect(leaf.checkIssued(root)).toBe(true);
    expect(leaf.verify(root.publicKey)).toBe(true);
    expect(host.startsWith('127') ? leaf.checkIP(host) : leaf.checkHost(host)).toBe(host);
    expect(leaf.checkHost('other.example.com')).toBeUndefined();
    expect(Date.parse(leaf.validFrom)).toBeLessThanOrEqual(now);
    expect(Date.parse(leaf.validTo)).toBeLessThanOrEqual(now + LIFETIME_MS);
  });

  it('is not trusted for what another authority signed', async () => {
    const other = await ThrowAwayAuthority.create('test authority', now);
    const leaf = new X509Certificate((await other.issue('gitlab.example.com')).certificate);
    expect(leaf.verify(root.publicKey)).toBe(false);
  });

  it('passes the strict checks of OpenSSL', async (context) => {
    if ((await execa(OPENSSL, ['version'], { reject: false })).failed)
      return context.skip('openssl is not here');
    const folder = mkdtempSync(join(tmpdir(), 'authority-'));
    try {
      writeFileSync(join(folder, 'ca.pem'), authority.certificate);
      writeFileSync(join(folder, 'leaf.pem'), (await authority.issue('gitlab.example.com')).certificate);
      const verified = await execa(
        OPENSSL,
        [
          'verify',
          '-x509_strict',
          '-purpose',
          'sslserver',
          '-verify_hostname',
          'gitlab.example.com',
          '-CAfile',
          'ca.pem',
          'leaf.pem',
        ],
        { cwd: folder },
      );
      expect(verified.stdout).toBe('leaf.pem: OK');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
