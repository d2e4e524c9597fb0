/** What a consumer may tell of the resolver's state. */
import type { Provider, Sandbox } from '../config/config.ts';
import type { AuditedFinding } from '../observe/audit/audit.ts';
import type { WriterState } from '../observe/line-writer.ts';
import type { AcknowledgedOutcome } from '../observe/metrics.ts';
import type { RefusedPeer } from '../socket/refused-peers.ts';
import type { NotServing } from '../socket/serving-state.ts';
import type { VolumeState } from '../sources/volume.ts';

export interface BoundaryFacts {
  readonly verdict: 'proven' | 'broken' | 'relaxed';
  readonly relaxed: boolean;
  readonly findings: readonly AuditedFinding[];
  /** What the verdict rests on although a check was made to stop it. */
  readonly exceptions: readonly string[];
  /** Unix milliseconds. */
  readonly checkedAtMs: number;
}

/** An open watch of any consumer. */
export interface WatchState {
  readonly consumer: string;
  readonly caller: string;
  /** 0 where the peer lives in another PID namespace. */
  readonly pid: number;
  /** What the peer calls itself; empty where it does not say. */
  readonly node: string;
  /** Names of the providers that it watches at this moment. */
  readonly providers: () => readonly string[];
  /** Unix milliseconds. */
  readonly sinceMs: number;
  readonly servedRevision: bigint;
  readonly servedLagMs: number;
  /** 0 before the first. */
  readonly acknowledgedRevision: bigint;
  readonly acknowledgedOutcome: AcknowledgedOutcome | undefined;
  readonly acknowledgedLagMs: number;
  /** Since the oldest revision that is not acknowledged was sent; 0 where every one is. */
  readonly unacknowledgedMs: number;
  readonly rejections: number;
}

export interface StatusFacts {
  readonly sandbox: Sandbox;
  readonly boundary: BoundaryFacts | undefined;
  readonly volumes: readonly VolumeState[];
  readonly providers: readonly Provider[];
  readonly startedAtMs: number;
  /** Why nothing, or not all that is required, can be served; empty while serving. */
  readonly notServing: readonly NotServing[];
  readonly watches: readonly WatchState[];
  readonly refusedPeers: readonly RefusedPeer[];
  readonly audit: WriterState;
}
