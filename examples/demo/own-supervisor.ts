/** The demo's own supervisor: a small proxy with the client library, which needs nothing but Node. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Supervisor, Variant } from './demo.ts';
import { startParty } from './parties.ts';
import { mountsOf, SUPERVISOR_UID } from './stage.ts';

const HOST = 'gitlab.example.com';

/** One event of the supervisor. */
interface SupervisorEvent {
  readonly event: string;
  readonly url?: string;
  readonly ca?: string;
  readonly at?: string;
  readonly agentEnvironment?: Readonly<Record<string, string>>;
}

export const ownSupervisor: Variant = {
  description: 'show the main job on this machine, in under a minute; needs nothing, shows more as root',
  host: HOST,
  origins: () => ({ http: `http://${HOST}`, https: `https://${HOST}` }),
  endpoints: () => [
    { host: HOST, port: 443 },
    { host: HOST, port: 80 },
  ],
  configuration: () => ({}),
  placeholder: /^openshell:resolve:env:s[0-9a-f]{64}_GITLAB_TOKEN$/,
  elsewhere: 'credential_endpoint_mismatch',

  async start({ stage, upstream, parties }): Promise<Supervisor> {
    const { httpPort, httpsPort, ca } = upstream;
    const settings = { socket: stage.socket, httpPort, httpsPort, upstreamCa: ca };
    const party = parties.use(
      startParty(
        {
          name: 'supervisor',
          uid: SUPERVISOR_UID,
          gid: SUPERVISOR_UID,
          mounts: mountsOf('other', stage),
          command: [stage.node, join(stage.app, 'examples/demo/supervisor.ts'), JSON.stringify(settings)],
        },
        stage.isolated,
      ),
    );
    const event = (name: string, from = 0) =>
      party.next(
        (line) => {
          const parsed = JSON.parse(line) as SupervisorEvent;
          return parsed.event === name ? parsed : undefined;
        },
        name,
        from,
      );
    const proxy = await event('proxy');
    let latest = await event('applied');
    const caFile = join(stage.ca, 'ca.crt');
    writeFileSync(caFile, proxy.ca ?? '', { mode: 0o644 });
    return {
      proxy: proxy.url ?? '',
      caFile,
      placeholders: () => latest.agentEnvironment ?? {},
      async applied(change) {
        const seen = party.lines.length;
        const before = process.hrtime.bigint();
        change();
        latest = await event('applied', seen);
        return Number(BigInt(latest.at ?? '0') - before) / 1e6;
      },
    };
  },
};
