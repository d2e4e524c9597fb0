/** Plays the operator: writes valid and invalid configurations, and triggers reloads. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Workspace } from '../../test/support/workspace.ts';
import type { History } from './history.ts';
import { WITHDRAWN_WITHIN_MS } from './judge.ts';
import { now } from './observation.ts';
import { pick } from './plan.ts';
import { writeProviders } from './volumes.ts';

/** UIDs of the run's processes; as an ordinary user all are one. */
export interface Uids {
  readonly supervisor: number;
  readonly neighbour: number | undefined;
  readonly agent: number;
}

/** Of the resolver's two listeners, on loopback. */
export interface Ports {
  readonly health: number;
  readonly metrics: number;
}

export const MISTAKES = ['unknown-field', 'broken-yaml', 'wrong-provider', 'agent-as-caller'] as const;

/** What the history calls the neighbour's place on the list. */
const NEIGHBOUR = 'caller:neighbour';

export class Operator {
  readonly #workspace: Workspace;
  readonly #history: History;
  readonly #uids: Uids;
  readonly #ports: Ports;
  /** Whether the neighbour stays on the list for now. */
  keepsNeighbour = false;
  #gamma = true;
  #neighbour = true;

  constructor(workspace: Workspace, history: History, uids: Uids, ports: Ports) {
    this.#workspace = workspace;
    this.#history = history;
    this.#uids = uids;
    this.#ports = ports;
  }

  /** Writes the intended configuration, replacing the file. */
  restore(): void {
    const listen = (port: number) => ({ listen: `127.0.0.1:${port}` });
    this.#workspace.writeConfig({
      callers: this.#callers(),
      agent: { uid: this.#uids.agent },
      health: listen(this.#ports.health),
      metrics: listen(this.#ports.metrics),
    });
    writeProviders(this.#workspace, this.#gamma);
  }

  /** Puts the neighbour on the list; to be called while no resolver is up, which reads it when it starts. */
  listNeighbour(): void {
    this.#neighbour = true;
    this.#history.permit(NEIGHBOUR, true, now(), WITHDRAWN_WITHIN_MS);
  }

  /** Adds or removes a provider or a caller. `reload` asks the resolver for it. */
  change(random: () => number, reload: () => void): void {
    const provider = this.#uids.neighbour === undefined || this.keepsNeighbour || random() < 0.6;
    if (provider) this.#gamma = !this.#gamma;
    else this.#neighbour = !this.#neighbour;
    const [name, allowed] = provider
      ? (['gamma', this.#gamma] as const)
      : ([NEIGHBOUR, this.#neighbour] as const);
    if (allowed) this.#history.permit(name, true, now(), WITHDRAWN_WITHIN_MS);
    this.restore();
    reload();
    if (!allowed) this.#history.permit(name, false, now(), WITHDRAWN_WITHIN_MS);
  }

  /** Writes a configuration that must change nothing. */
  mistake(random: () => number): void {
    const { root, configFile } = this.#workspace;
    const kind = pick(random, MISTAKES);
    switch (kind) {
      case 'unknown-field':
        this.#workspace.writeConfig({ callers: this.#callers(), surprise: true });
        break;
      case 'broken-yaml':
        writeFileSync(configFile, 'sandbox: {id: [\n');
        break;
      case 'wrong-provider':
        writeFileSync(join(root, 'providers', 'gamma.yaml'), 'provider: {name: alpha, typo: x}\n');
        break;
      case 'agent-as-caller':
        this.#workspace.writeConfig({
          callers: [...this.#callers(), { name: 'the-agent', uid: this.#uids.agent, providers: ['*'] }],
          agent: { uid: this.#uids.agent },
        });
        break;
    }
  }

  #callers(): object[] {
    const { supervisor, neighbour } = this.#uids;
    return [
      { name: 'supervisor', uid: supervisor, providers: ['*'] },
      ...(neighbour !== undefined && this.#neighbour
        ? [{ name: 'neighbour', uid: neighbour, providers: ['alpha'] }]
        : []),
    ];
  }
}
