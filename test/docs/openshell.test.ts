/**
 * What OpenShell's own code was seen to do (2026-11-27: gateway, supervisor, validator and chart at 2f7fb65, descriptors of
 * 0.1.5), as far as it concerns us, and the test that holds us to it. And what the documents say of it.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');

const DRIVER = 'consumers/gateway-driver';
const HOOK = 'interop/resolver-environment';
const DOCTOR = 'cli/openshell-doctor';
const LINT = 'profiles/lint';

const FACTS: readonly [fact: string, file: string, title: string][] = [
  // The gateway and our driver
  ['a provider type without an imported profile costs the whole environment', DOCTOR, 'a missing profile'],
  ['profiles are imported in the workspace of the provider', DOCTOR, 'the wrong workspace'],
  ['the quick start imports before it creates', 'docs/quick-start', 'docs/quick-start/openshell.md'],
  [
    'all profiles of deploy/profiles pass the validator',
    'profiles/deployed',
    '%s: named by its id, and without a finding but for the path',
  ],
  ['an update ignores the handle that comes back', DRIVER, 'to another reference is refused'],
  ['an update keeps the handle of the same reference', DRIVER, 'to the same reference gives the same handle'],
  [
    'so does one after a change of the key',
    DRIVER,
    'under another sealing key is refused, and deleting and adding works while the old key is mounted',
  ],
  [
    'a running sandbox learns of nothing by itself',
    'docs/openshell',
    'says in %s by what a change reaches a running sandbox',
  ],
  [
    'an expired credential is left out alone',
    DRIVER,
    'answers the one that %s as expired, and the others with their values',
  ],
  [
    'a credential that is minted cannot be stored',
    DOCTOR,
    'warns of a credential that the gateway mints, unless a reference takes its place',
  ],
  [
    'a profile decides to which host a value goes',
    'docs/openshell',
    'says that who imports profiles decides where a value goes',
  ],
  [
    'the gateway does not start without the socket, and asks once',
    DRIVER,
    'answers before anything is mounted: a gateway asks once and never again',
  ],
  ['the gateway lives on when the driver restarts', DRIVER, 'a handle outlives the driver'],
  [
    'the gateway appends --bind-socket',
    'daemon/gateway',
    'binds the socket that a gateway appends to the command line',
  ],
  ['a driver may be launched with command and args', 'consumers/gateway-toml', 'a driver that it starts'],
  [
    'the chart takes a third driver by a post-renderer alone',
    'helm/post-renderer',
    'gives a %s the driver of gateway-driver.yaml',
  ],
  // The supervisor, 0.0.x
  [
    'it fetches from our socket, and installs the answer',
    'consumers/openshell-install',
    'whatever is accepted leaves the other providers their credentials',
  ],
  [
    "it sends the sandbox's token too",
    'consumers/openshell',
    "repeats nowhere the sandbox's token, which the supervisor's client sends along",
  ],
  [
    'sandbox_id is an annotation of the pod, under two names',
    'manifest/settings',
    'is what OpenShell annotates, and else the UID of the pod',
  ],
  ['another sandbox_id is refused', 'consumers/openshell', 'is refused for the sandbox %j'],
  [
    'the default topology is combined',
    'manifest/settings',
    "OpenShell's combined topology: says what to set in the chart",
  ],
  ['gateway.toml says so as well', DOCTOR, 'the combined topology'],
  [
    'exe of the root supervisor cannot be read: a caller',
    'socket/policy',
    'refuses where the program cannot be read and the rule names one',
  ],
  ['exe of the root supervisor cannot be read: lint', 'manifest/controls', 'the second of what is trusted'],
  ['a host that it refuses costs the whole set', 'domain/glob', '%j: %s, as OpenShell compiles it'],
  [
    'any host',
    'domain/glob',
    'is refused whenever its supervisor would drop every credential of the sandbox for it',
  ],
  ['globs in paths', 'domain/glob', '%j differs in OpenShell: %j'],
  ['? and [ab] are globs in paths', LINT, 'brackets in a path'],
  ['** in hosts is recursive', LINT, 'a label of two stars'],
  ['a stable handle in a path fails', LINT, 'a path, which no handle can be placed in'],
  ['an alias that looks like a handle is refused', LINT, 'a handle in capitals'],
  [
    'it revokes everything when a fetch fails',
    'consumers/openshell',
    'is served by our own call and withheld from OpenShell, alone',
  ],
  // 0.1.x
  [
    '103 has the expiry, and ours begin at 1000',
    'consumers/openshell',
    'decodes with a message that has only the fields of OpenShell, and says all that it has to',
  ],
  [
    "a hook keeps the gateway's identity and merges inside",
    HOOK,
    'replaces a provider of the gateway as a whole, follows a rotation, and acknowledges it',
  ],
  [
    'the pod of the supervisor has UID 1000 and a label of its own',
    'manifest/settings',
    'needs no self-test and serves UID 1000: %j',
  ],
  [
    'its label is the one that the policy selects',
    'admission/kustomize',
    "injects the supervisor's own pod of OpenShell 0.1.x, by its label, without a self-test",
  ],
  [
    'the expiry of the driver is 103, beside the old field',
    DRIVER,
    "tells a JWT's expiry in both ways that gateways read, and resolves none that has ended",
  ],
  ['gateway.toml has a version 2', 'consumers/gateway-toml', '0.1.x, which has no topology'],
  // Profiles
  ['bearer without header_name', LINT, 'bearer without a header'],
  ['no display_name', LINT, 'no display_name'],
  ['an endpoint without port', LINT, 'no port'],
  ['protocol without access or rules', LINT, 'a protocol that allows nothing'],
  ['rules: []', LINT, 'empty rules'],
  ['rules and access together', LINT, 'rules and access'],
  ['unknown category', LINT, 'a null category'],
  ['unknown protocol', LINT, 'an unknown protocol'],
  ['L4 only', LINT, 'no protocol'],
  ['tls: skip', LINT, 'TLS that is passed through'],
  ['path_template without {credential}', LINT, 'a path template without the credential'],
  ['path_template with {credential} twice', LINT, 'a path template with the credential twice'],
  ['a key twice in discovery', LINT, 'discovery twice'],
  ['token_grant without token_endpoint', LINT, 'a grant without an endpoint'],
  ['auth_style is trimmed and lowercased', LINT, 'a style in capitals, as OpenShell trims and lowers it'],
  ['fields that an export writes', LINT, 'what `provider profile export` writes'],
  ['fields of 0.1.x', LINT, 'fields of 0.1.x'],
  ['refresh.additional_outputs', LINT, 'a role with its outputs'],
];

it.each(FACTS)('%s: a test covers it', (_, file, title) => {
  const text = read(`test/${file}.test.ts`);
  expect(
    ["'", '"', '`'].some((quote) => text.includes(`${quote}${title}${quote}`)),
    title,
  ).toBe(true);
});

describe('the documents', () => {
  it.each([
    'README.md',
    'deploy/openshell/README.md',
    'docs/quick-start/openshell.md',
    'docs/how-to/rotate.md',
  ])('says in %s by what a change reaches a running sandbox', (file) => {
    const text = read(file).replaceAll(/\s+/g, ' ');
    for (const way of [/`provider update`/, /\bdetach\w*.{0,20} and attach/, /\bnew sandbox\b/])
      expect(text).toMatch(way);
  });

  it('says that who imports profiles decides where a value goes', () => {
    expect(read('deploy/openshell/README.md')).toContain(
      '**Who may import profiles in a workspace decides where a value goes**',
    );
  });
});
