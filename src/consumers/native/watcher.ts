import type { Snapshot } from '../../snapshot/snapshot.ts';
import { Acknowledgements } from '../acknowledgements.ts';
import { auditServed, withholding } from '../environment.ts';
import { Watch, type WatchOptions } from '../watch.ts';

/** One open watch: sends the newest view of its providers. */
export class Watcher extends Watch<bigint> {
  readonly acknowledgements: Acknowledgements<bigint>;
  readonly #providers: () => readonly string[];

  constructor(options: WatchOptions, providers: () => readonly string[]) {
    super(options);
    this.#providers = providers;
    this.acknowledgements = new Acknowledgements({ ...options, consumer: 'native', providers });
  }

  protected override send(snapshot: Snapshot): void {
    const { call, connection, host } = this.options;
    const view = host.views.of(snapshot, this.#providers());
    const { revision, credentials } = view;
    const before = this.acknowledgements.servedRevision;
    if (revision === before) return;
    // The first was read before the watch began, which is no lag.
    const mountedAt = before === 0n ? undefined : snapshot.mountedAt;
    const correlation = this.acknowledgements.sent(revision, { revision, mountedAt, credentials });
    this.write(view.message);
    auditServed(host, call, connection, view, correlation);
    // Sent first, to a new watch too: what its client holds, of this stream or one before, is withdrawn in any case.
    const withheld = withholding(view);
    if (withheld !== undefined) this.end(withheld);
  }

  protected override peerGone(): void {
    const { connection, host } = this.options;
    this.withdraw();
    host.audit.peerRefused(connection.audited, 'peer-gone');
    connection.close();
  }
}
