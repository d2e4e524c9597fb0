/**
 * One stream of Envoy's: the names that it wants, and what it was last sent for each. It sends the newest state, one
 * write at a time. Envoy keeps what it has when a stream ends, so everything is withdrawn before this side ends one.
 */
import { MAX_RESPONSE_BYTES } from '../../domain/limits.ts';
import { type AuditedCredential, plainCredential } from '../../observe/audit/record.ts';
import { ALWAYS_LISTED } from '../../observe/audit/served-lists.ts';
import type { Snapshot } from '../../snapshot/snapshot.ts';
import { countResponse } from '../../socket/calls.ts';
import { Acknowledgements } from '../acknowledgements.ts';
import { providersFor, visibleProviders } from '../environment.ts';
import { Watch, type WatchOptions } from '../watch.ts';
import { encodeResponse, type SdsSecret, valuesOf, versionOf } from './sds-encode.ts';
import { auditedName, contentOf, type SdsContent } from './sds-name.ts';

export interface SdsStreamOptions extends WatchOptions {
  readonly delta: boolean;
}

export class SdsStream extends Watch<string> {
  /** What its client calls itself; for audit and log only. */
  node = '';
  readonly acknowledgements: Acknowledgements<string>;
  // Without an empty value, Envoy holds its listener back for 15 s.
  protected override readonly beginsEmpty = true;
  readonly #delta: boolean;
  /** What was last sent for each name; undefined where it is to be sent in any case. */
  readonly #names = new Map<string, Pick<SdsSecret, 'version' | 'isPair'> | undefined>();
  #responses = 0;

  constructor(options: SdsStreamOptions) {
    super(options);
    this.#delta = options.delta;
    this.acknowledgements = new Acknowledgements({
      ...options,
      consumer: 'envoy-sds',
      providers: () => visibleProviders(options.host, options.connection),
      node: () => this.node,
    });
  }

  get names(): ReadonlySet<string> {
    return new Set(this.#names.keys());
  }

  /** Of the last response, or 0 before the first. */
  get nonce(): string {
    return String(this.#responses);
  }

  /** Puts names in force; those of `again` are sent whether they were sent before or not. */
  want(names: ReadonlySet<string>, again: readonly string[] = []): void {
    for (const name of this.#names.keys()) if (!names.has(name)) this.#names.delete(name);
    for (const name of names) if (!this.#names.has(name)) this.#names.set(name, undefined);
    for (const name of again) this.#names.set(name, undefined);
    this.push();
  }

  /** Notes what became of a response: an error's code, or none; false where no such response waits for it. */
  acknowledge(nonce: string, code: number | undefined): boolean {
    if (code === undefined) return this.acknowledgements.acknowledge(nonce, 'applied');
    const names = [...this.#names.keys()].slice(0, ALWAYS_LISTED).map(auditedName);
    return this.acknowledgements.acknowledge(nonce, 'rejected', { names, code });
  }

  protected override send(snapshot: Snapshot | undefined): void {
    if (snapshot === undefined) {
      this.#send(() => ({ kind: 'nothing', reason: 'not-ready' }), undefined);
      return;
    }
    const { connection, host } = this.options;
    const visible = new Set(providersFor(host, connection, []));
    this.#send((name) => contentOf(snapshot, visible, name), snapshot.mountedAt);
  }

  protected override peerGone(): void {
    this.recheck();
  }

  /** Withdraws everything where the peer no longer is the one that was let in, or fits another rule or none. */
  recheck(): void {
    const { connection, host } = this.options;
    const gone = connection.stillAllowed();
    if (gone === undefined || this.ended) return;
    this.withdraw();
    host.audit.peerRefused(connection.audited, gone);
    // What was written is sent at the end of this turn of the event loop.
    setImmediate(() => connection.close());
  }

  /** Sends an empty value for each name, the last that is sent. */
  override withdraw(): void {
    if (this.ended) return;
    super.withdraw();
    this.#send(() => ({ kind: 'nothing', reason: 'withdrawn' }), undefined);
  }

  #send(contentFor: (name: string) => SdsContent, mountedAt: number | undefined): void {
    const { connection, host } = this.options;
    const delta = this.#delta;
    const secrets = this.#secrets(contentFor);
    const changed = secrets.filter(({ name, version }) => this.#names.get(name)?.version !== version);
    if (changed.length === 0) return;
    const isUpdate = changed.every(({ name }) => this.#names.get(name) !== undefined);
    const sent = delta ? changed : secrets;
    const version = versionOf(
      host.processKey,
      secrets.map((secret) => Buffer.from(`${secret.name}\0${secret.version}`)),
    );
    this.#responses += 1;
    const credentials = credentialsOf(sent);
    const correlation = this.acknowledgements.sent(this.nonce, {
      revision: version,
      mountedAt: isUpdate ? mountedAt : undefined,
      credentials,
    });
    const message = encodeResponse(sent, { version, nonce: this.nonce, delta });
    countResponse(connection, message.bytes.byteLength);
    this.write(message);
    message.retire();
    for (const { name, version, isPair } of changed) this.#names.set(name, { version, isPair });
    if (!this.ended) this.#audit(credentials, changed, { revision: version, correlation });
  }

  /** What is served under each name. A value may be asked for under four spellings, so a response can be full. */
  #secrets(contentFor: (name: string) => SdsContent): SdsSecret[] {
    const { processKey } = this.options.host;
    let room = MAX_RESPONSE_BYTES;
    return [...this.#names].map(([name, before]) => {
      let content = contentFor(name);
      const bytes = valuesOf(content).reduce((sum, { byteLength }) => sum + byteLength, 0);
      if (bytes > room) content = { kind: 'nothing', reason: 'response-too-large' };
      else room -= bytes;
      // What is withdrawn is of the kind that it was.
      const isPair =
        content.kind === 'pair' || (content.kind === 'nothing' && (content.pair ?? before?.isPair === true));
      const version = versionOf(processKey, [Buffer.of(Number(isPair)), ...valuesOf(content)]);
      return { name, content, isPair, version };
    });
  }

  #audit(
    served: readonly AuditedCredential[],
    changed: readonly SdsSecret[],
    { revision, correlation }: { readonly revision: bigint; readonly correlation: string },
  ): void {
    const { call, connection, host } = this.options;
    const { node } = this;
    host.afterSending(() => {
      for (let at = 0; at < served.length; at += ALWAYS_LISTED) {
        const credentials = served.slice(at, at + ALWAYS_LISTED).map(plainCredential);
        const facts = { outcome: 'served', revision: String(revision), node, credentials };
        host.audit.answered(call, connection.audited, facts, correlation);
      }
      for (const { name, content } of changed) {
        if (content.kind !== 'nothing') continue;
        const facts = {
          name: auditedName(name),
          why: content.reason,
          node,
          answered: 'with an empty value',
          ...(content.credential && plainCredential(content.credential)),
        };
        host.audit.denied(call, connection.audited, 'secret-not-served', facts);
      }
    });
  }
}

function credentialsOf(sent: readonly SdsSecret[]): readonly AuditedCredential[] {
  return sent.flatMap(({ content }) => (content.kind === 'nothing' ? [] : content.credentials));
}
