/** What a consumer may tell of the resolver's state. */
import type { Provider, Sandbox } from '../config/config.ts';
import type { VolumeState } from '../sources/volume.ts';

/** A finding of the boundary checks. */
export interface BoundaryFinding {
  readonly id: string;
  readonly severity: string;
  readonly outcome: string;
  readonly evidence: string;
  readonly remedy: string;
}

export interface BoundaryFacts {
  readonly verdict: 'proven' | 'broken' | 'relaxed';
  readonly relaxed: boolean;
  readonly findings: readonly BoundaryFinding[];
  /** What the verdict rests on although a check was made to stop it. */
  readonly exceptions: readonly string[];
  /** Unix milliseconds. */
  readonly checkedAtMs: number;
}

export interface StatusFacts {
  readonly sandbox: Sandbox;
  readonly boundary: BoundaryFacts | undefined;
  readonly volumes: readonly VolumeState[];
  readonly providers: readonly Provider[];
  readonly startedAtMs: number;
  readonly serving: boolean;
}
