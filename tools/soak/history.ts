/** The expected state over time: generations on the volumes, the configuration, and when the resolver could not act. Pure. */

/** One state of a Secret's volume. */
export interface Version {
  readonly generation: number;
  /** Keys that can be served of it; none where the volume is missing or spoilt. */
  readonly keys: ReadonlySet<string>;
  /** When it may have been visible at the earliest. */
  readonly from: number;
  /** When the next one was visible at the latest. */
  until: number;
}

/** A period in which the resolver, or one of its clients, cannot be expected to act. */
export interface Excuse {
  readonly from: number;
  until: number;
  /** Whose, by the beginning of its name; the resolver's where it is not said. */
  readonly client?: string;
}

/** Whether a provider, or one key, may be served: by configuration or by expiry. */
export interface Permission {
  readonly allowed: boolean;
  readonly at: number;
  /** Milliseconds in which a withdrawal must have happened. */
  readonly withinMs: number;
}

const ALWAYS: Permission = { allowed: true, at: Number.NEGATIVE_INFINITY, withinMs: 0 };

export class History {
  readonly #versions = new Map<string, Map<number, Version>>();
  readonly #current = new Map<string, Version>();
  readonly #permissions = new Map<string, Permission>();
  readonly #excuses: Excuse[] = [];
  readonly #deaths: number[] = [];

  /** A write that began at `before` and was in force at `after`. */
  wrote(secret: string, generation: number, keys: Iterable<string>, before: number, after: number): void {
    const old = this.#current.get(secret);
    if (old !== undefined) old.until = after;
    const version: Version = {
      generation,
      keys: new Set(keys),
      from: before,
      until: Number.POSITIVE_INFINITY,
    };
    const known = this.#versions.get(secret) ?? new Map<number, Version>();
    known.set(generation, version);
    this.#versions.set(secret, known);
    this.#current.set(secret, version);
  }

  /** `name` is a provider, `<provider>:<key>`, or `caller:<client>`. */
  permit(name: string, allowed: boolean, at: number, withinMs: number): void {
    if (this.permission(name).allowed !== allowed) this.#permissions.set(name, { allowed, at, withinMs });
  }

  permission(name: string): Permission {
    return this.#permissions.get(name) ?? ALWAYS;
  }

  /** Opens an excuse; its owner ends it. */
  excuse(from: number, client?: string): Excuse {
    const excuse: Excuse = {
      from,
      until: Number.POSITIVE_INFINITY,
      ...(client === undefined ? {} : { client }),
    };
    this.#excuses.push(excuse);
    return excuse;
  }

  /** The process ended: what comes later is of another life. */
  died(at: number): void {
    this.#deaths.push(at);
  }

  /** Which life of the process a moment belongs to. */
  lifeAt(at: number): number {
    return this.#deaths.filter((death) => death <= at).length;
  }

  version(secret: string, generation: number): Version | undefined {
    return this.#versions.get(secret)?.get(generation);
  }

  current(secret: string): Version | undefined {
    return this.#current.get(secret);
  }

  get secrets(): string[] {
    return [...this.#current.keys()];
  }

  /** Milliseconds between two moments in which nothing excused resolver or client. */
  clearMs(from: number, to: number, client: string): number {
    let clear = Math.max(0, to - from);
    let covered = from;
    for (const excuse of this.#excuses.toSorted((a, b) => a.from - b.from)) {
      if (excuse.client !== undefined && !client.startsWith(excuse.client)) continue;
      const start = Math.max(covered, excuse.from);
      const end = Math.min(to, excuse.until);
      if (end <= start) continue;
      clear -= end - start;
      covered = end;
    }
    return Math.max(0, clear);
  }
}
