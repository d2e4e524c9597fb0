/** A kernel that does not tell who connects: nothing is served on it. Played, and real: Debian's runsc. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { requireTruthfulPeers } from '../../src/boundary/peer-truth.ts';
import { NativeError } from '../../src/native/native.ts';
import { CHECKOUT, NODE } from '../support/checkout.ts';
import { describeIf } from '../support/root.ts';
import { newSecret } from '../support/secrets.ts';
import { Workspace } from '../support/workspace.ts';
import { AGENT_UID, RESOLVER_UID, unprivileged } from './pod.ts';
import { MISSING_RUNSC, runsc } from './runsc.ts';

describe('requireTruthfulPeers', () => {
  it('lets a kernel pass that names the child', () => {
    expect(() => requireTruthfulPeers()).not.toThrow();
  });

  it.each([
    [
      'names the process that asks',
      process.pid,
      `names PID ${process.pid} for a connection from PID 7, the process that asks.`,
    ],
    ['names another', 8, 'names PID 8 for a connection from PID 7.'],
    ['names none', 0, 'names PID 0 for a connection from PID 7.'],
  ])('refuses a kernel that %s', (_, named, words) => {
    expect(() => requireTruthfulPeers(() => ({ child: 7, named }))).toThrow(
      `SO_PEERCRED ${words} This kernel cannot tell callers apart`,
    );
  });

  it('refuses where it cannot be tried', () => {
    const fail = () => {
      throw new NativeError('clone', 11);
    };
    expect(() => requireTruthfulPeers(fail)).toThrow(
      'SO_PEERCRED could not be tried: clone failed with errno 11',
    );
  });
});

describeIf('under runsc of 2022, which names whoever asks as the peer', MISSING_RUNSC, () => {
  it('serve serves nothing, says why in one message, and names nobody; check says the same', () => {
    using workspace = new Workspace();
    workspace.writeBulkProvider('nvbugs', 'nvbugs');
    workspace.secret('nvbugs').write({ TOKEN_NAME: newSecret() });
    const supervisor = [{ name: 'supervisor', uid: 20_001, providers: ['*'] }];
    workspace.writeConfig({ callers: supervisor, audit: { path: join(workspace.root, 'run', 'audit') } });
    const command = `${NODE} ${join(CHECKOUT, 'src/main.ts')}`;
    const output = runsc([
      'do',
      'bash',
      '-c',
      `
      cd ${workspace.root}
      # --relaxed: no other check may be what keeps it from serving.
      setpriv ${unprivileged(RESOLVER_UID)} ${command} serve --relaxed --config ${workspace.configFile} 2> run/log &
      for _ in $(seq 100); do kill -0 $! 2> /dev/null && [ ! -S ${workspace.socket} ] || break; sleep 0.1; done
      echo "== agent"; setpriv ${unprivileged(AGENT_UID)} ${command} list --socket ${workspace.socket}
      echo "agent: $?"; kill $! 2> /dev/null; wait $!; echo "serve: $?"
      echo "== audit"; cat run/audit; echo "== log"; cat run/log
      echo "== check"; setpriv ${unprivileged(RESOLVER_UID)} ${command} check --config ${workspace.configFile}; echo "check: $?"`,
    ]);
    const [, agent = '', audit, log = '', check = ''] = output.split(/^== \w+\n/m);
    expect(agent, output).toContain('agent: 3\nserve: 1\n');
    expect(agent).not.toContain('TOKEN_NAME');
    expect(audit).toBe('cat: run/audit: No such file or directory\n');
    const refusal =
      /^secret-resolver: SO_PEERCRED names PID (\d+) for a connection from PID \d+, the process that asks\. This kernel cannot tell callers apart, so nothing is served\. /;
    expect(log.trim().split('\n')).toEqual([expect.stringMatching(refusal)]);
    expect(check.trim().split('\n')).toEqual([expect.stringMatching(refusal), 'check: 1']);
  }, 150_000);
});
