/** A boundary that breaks while a real pod serves: what names the cause in log, audit, metric, alert and `status`. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { GOOD_POD, RESOLVER_UID, runPod, socketIn, unprivileged } from '../boundary/pod.ts';
import { cli, until } from '../support/cli.ts';
import { freePort } from '../support/free-port.ts';
import { expectAlerts, MISSING_PROMTOOL, parseScrape, type Scrape } from '../support/promtool.ts';
import { describeAsRoot } from '../support/root.ts';

describeAsRoot('the cause is named where', () => {
  it('the boundary breaks while it is served', async () => {
    const port = await freePort();
    const scrape = async (): Promise<Scrape> =>
      parseScrape(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text());
    let healthy: Scrape = new Map();
    let before = '';
    let after: Awaited<ReturnType<typeof cli>> | undefined;
    const { code, stdout, stderr } = await runPod(
      'boundary-fault',
      {
        ...GOOD_POD,
        processNamespace: 'shared',
        neighbours: [
          {
            identity: unprivileged(RESOLVER_UID),
            volumes: 'socket-read-only',
            onceTrue: '[ -e break ]',
            afterSeconds: 0,
            // Its connection is the first of its UID, for which the boundary is checked at once.
            command:
              "bash -c './node app/src/main.ts list --socket socket-volume/own/resolver.sock > /dev/null 2>&1; exec sleep 60'",
          },
        ],
        // Until it has its UID, the neighbour is root.
        config: `boundary: {trusted: [{uid: 0}]}\nmetrics: {listen: "127.0.0.1:${port}"}`,
        program: 'app/src/main.ts serve --config pod/etc/config.yaml',
      },
      async (_sandbox, folder) => {
        await until(() => socketIn(folder) !== undefined, 20_000);
        const status = ['status', '--socket', socketIn(folder) ?? ''];
        before = (await cli(status)).stdout;
        healthy = await scrape();
        writeFileSync(join(folder, 'break'), '');
        await until(() => socketIn(folder) === undefined, 30_000);
        after = await cli(status);
      },
    );
    expect(code, stdout + stderr).toBe(1);

    expect(before).toMatch(/^serving\n(.*\n)*boundary: proven/);
    expect(healthy.get('secret_resolver_boundary_proven')).toBe(1);
    const log = stderr.split('\n').filter((line) => line.startsWith('{'));
    expect(log.map((line) => JSON.parse(line))).toContainEqual(
      expect.objectContaining({
        level: 'fatal',
        msg: 'the isolation boundary is broken; nothing is served from now on',
        check: 'process-same-uid',
        evidence: expect.stringContaining(`UID ${RESOLVER_UID}`),
        todo: expect.stringContaining('runAsUser'),
      }),
    );
    const audit = stdout.split('\n').filter((line) => line.startsWith('{'));
    expect(audit.map((line) => JSON.parse(line))).toContainEqual(
      expect.objectContaining({
        class_uid: 2004,
        unmapped: expect.objectContaining({
          finding: 'process-same-uid',
          severity: 'enforce',
          outcome: 'fail',
          remedy: expect.stringContaining('runAsUser'),
        }),
      }),
    );
    expect(after).toMatchObject({ code: 3, stderr: expect.stringContaining('no answer on') });
    await expect(scrape()).rejects.toThrow('fetch failed');
    if (MISSING_PROMTOOL !== undefined) return;
    const up = 'up{job="agents/secret-resolver"}';
    expectAlerts([
      {
        name: 'boundary broken: the process ended',
        before: new Map([...healthy, [up, 1]]),
        after: new Map([[up, 0]]),
        alerts: ['SecretResolverAbsent'],
      },
    ]);
  });
});
